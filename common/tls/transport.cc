#include "common/tls/transport.h"

#include <cstdlib>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/host_port.h"

namespace trunkload {
namespace {

constexpr char kWhatToDo[] =
    "say with --tls DIR which certificate to show (`trunkload certs` makes them), or take the risk with "
    "--insecure";

absl::Status CheckChoice(const Transport& transport) {
  if (transport.insecure && !transport.tls.empty())
    return absl::InvalidArgumentError("--tls and --insecure exclude each other");
  if (!transport.tls_server_name.empty() && transport.tls.empty())
    return absl::InvalidArgumentError("--tls-server-name goes with --tls");
  return absl::OkStatus();
}

}  // namespace

void Transport::TakeEnvironment() {
  const char* folder = std::getenv("TRUNKLOAD_TLS");
  if (tls.empty() && !insecure && folder != nullptr) tls = folder;
}

std::string Transport::ServerName(const std::string& address) const {
  if (!tls_server_name.empty()) return tls_server_name;
  const absl::StatusOr<HostPort> at = HostPort::Parse(address);
  return at.ok() ? at->host : address;
}

absl::Status Transport::CheckDial(const std::string& address) const {
  const absl::StatusOr<HostPort> at = HostPort::Parse(address);
  if (!at.ok() || at->host.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--controller ", address, ": an address is HOST:PORT, as in 10.0.0.5:7400"));
  }
  if (absl::Status status = CheckChoice(*this); !status.ok()) return status;
  if (insecure || !tls.empty() || at->IsLoopback()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--controller ", address, " is beyond this machine, and plain text would go there: ", kWhatToDo));
}

absl::Status Transport::CheckListen(const std::string& address) const {
  if (absl::Status status = CheckChoice(*this); !status.ok()) return status;
  const absl::StatusOr<HostPort> at = HostPort::Parse(address);
  // Otherwise who listens says what is wrong with it.
  if (!at.ok() || insecure || !tls.empty() || at->IsLoopback()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--listen ", address, " is reached from beyond this machine, in plain text: ", kWhatToDo));
}

}  // namespace trunkload

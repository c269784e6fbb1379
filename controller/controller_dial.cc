#include "controller/controller_dial.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/message_limits.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/tls_diagnosis.h"
#include "common/tls/tls_folder.h"

namespace trunkload {
namespace {

constexpr int kKeepaliveMs = 5'000;
constexpr absl::Duration kDiagnosis = absl::Seconds(3);

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> DialController(const std::string& address,
                                                              const Transport& transport) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!transport.tls.empty()) {
    const absl::StatusOr<TlsFolder::Material> material = TlsFolder(transport.tls).Read(absl::Now());
    if (!material.ok()) return material.status();
    credentials = ControllerCredentials(*material, transport.ServerName(address));
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Proxies of the environment are for the web, not for a controller.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

absl::Status ExplainCall(const absl::Status& status, const std::string& address, const Transport& transport) {
  if (!absl::IsUnavailable(status)) return status;
  if (const std::string why = Diagnose(address, transport, kDiagnosis); !why.empty())
    return absl::UnavailableError(absl::StrCat("cannot talk to the controller at ", address, ": ", why));
  return absl::UnavailableError(absl::StrCat(
      "no controller answers at ", address, " (", status.message(),
      "); check the address, and that `trunkload serve` runs there and listens on more than 127.0.0.1"));
}

}  // namespace trunkload

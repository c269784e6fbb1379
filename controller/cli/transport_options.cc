#include "controller/cli/transport_options.h"

#include <iostream>
#include <string>

namespace trunkload {
namespace {

absl::Status Warned(absl::Status status, const Transport& transport) {
  if (status.ok() && transport.insecure) std::cerr << "trunkload: warning: " << kInsecureWarning << std::endl;
  return status;
}

}  // namespace

void AddListenOptions(CLI::App& command, Transport& transport) {
  command
      .add_option(
          "--tls", transport.tls,
          "Encrypt, and show the certificate in this folder: ca.crt, tls.crt and tls.key, as `trunkload "
          "certs issue` makes them [$TRUNKLOAD_TLS]")
      ->type_name("DIR");
  command.add_flag("--insecure", transport.insecure,
                   "Plain text beyond this machine too: nothing is encrypted, nobody is checked");
}

void AddDialOptions(CLI::App& command, Transport& transport) {
  AddListenOptions(command, transport);
  command
      .add_option("--tls-server-name", transport.tls_server_name,
                  "The name in the controller's certificate, where it is not the HOST that is dialled")
      ->type_name("NAME");
}

absl::Status SettleDial(const std::string& address, Transport& transport) {
  transport.TakeEnvironment();
  return Warned(transport.CheckDial(address), transport);
}

absl::Status SettleListen(const std::string& address, Transport& transport) {
  transport.TakeEnvironment();
  return Warned(transport.CheckListen(address), transport);
}

absl::Status SettlePlace(const std::string& listen, const std::string& controller, Transport& transport) {
  if (!controller.empty()) return SettleDial(controller, transport);
  if (!transport.tls_server_name.empty())
    return absl::InvalidArgumentError("--tls-server-name goes with --controller");
  if (!listen.empty()) return SettleListen(listen, transport);
  if (transport.tls.empty() && !transport.insecure) return absl::OkStatus();
  return absl::InvalidArgumentError("--tls and --insecure go with --listen or --controller");
}

}  // namespace trunkload

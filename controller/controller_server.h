#pragma once

#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "controller/caller_check.h"
#include "controller/control_service.h"
#include "controller/controller_thread.h"
#include "controller/doorkeeper.h"
#include "controller/fleet_service.h"
#include "controller/token_desk.h"
#include "controller/token_service.h"

namespace trunkload {

// The network side of a controller: listens for agents and command lines. Thread-safe.
class ControllerServer {
 public:
  struct Endpoint {
    std::string address;   // HOST:PORT, or :PORT for every address of this machine; port 0 takes a free one
    std::string tls = {};  // a TlsFolder's path; empty: in plain text, from anybody
    // Where join tokens are kept, a RunStore's path; empty: nowhere.
    std::string token_store = {};
  };
  // INVALID_ARGUMENT where the address is not of that form or the folder lacks something, FAILED_PRECONDITION
  // where its certificate can't be used, UNAVAILABLE where the address can't be listened on. The clock and
  // the controller must outlive the server.
  static absl::StatusOr<std::unique_ptr<ControllerServer>> Listen(const Endpoint& endpoint,
                                                                  const Clock& clock,
                                                                  ControllerThread& controller);
  // Breaks off the calls that are still there; stop the controller first to end them in order.
  ~ControllerServer();

  // With the port that was taken.
  const std::string& address() const { return address_; }

 private:
  ControllerServer(bool tls, const Clock& clock, ControllerThread& controller,
                   std::unique_ptr<TokenDesk> desk, std::unique_ptr<Doorkeeper> door);

  const std::unique_ptr<TokenDesk> desk_;
  const std::unique_ptr<Doorkeeper> door_;
  const CallerCheck check_;
  FleetService fleet_service_;
  ControlService control_service_;
  TokenService token_service_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace trunkload

#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "controller/control_service.h"
#include "controller/controller_thread.h"
#include "controller/fleet_service.h"

namespace trunkload {

// The network side of a controller: listens for agents and command lines, without encryption. Thread-safe.
class ControllerServer {
 public:
  // `address` is HOST:PORT, or :PORT for every address of this machine; port 0 takes a free one.
  // INVALID_ARGUMENT where it is not of that form, UNAVAILABLE where it can't be listened on. The clock and
  // the controller must outlive the server.
  static absl::StatusOr<std::unique_ptr<ControllerServer>> Listen(const std::string& address,
                                                                  const Clock& clock,
                                                                  ControllerThread& controller);
  // Breaks off the calls that are still there; stop the controller first to end them in order.
  ~ControllerServer();

  // With the port that was taken.
  const std::string& address() const { return address_; }

 private:
  ControllerServer(const Clock& clock, ControllerThread& controller);

  FleetService fleet_service_;
  ControlService control_service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace trunkload

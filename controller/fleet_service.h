#pragma once

#include "common/clock.h"
#include "controller/controller_thread.h"
#include "trunkload/v1/fleet.grpc.pb.h"

namespace trunkload {

// Agents come in here: each call of Join is one agent's stream, and each of KeepAlive its heartbeats.
// Thread-safe.
class FleetService final : public v1::FleetService::CallbackService {
 public:
  // Both must outlive every call.
  FleetService(const Clock& clock, ControllerThread& controller) : clock_(clock), controller_(controller) {}

  grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* Join(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::Heartbeat, v1::HeartbeatReply>* KeepAlive(
      grpc::CallbackServerContext* context) override;

 private:
  const Clock& clock_;
  ControllerThread& controller_;
};

}  // namespace trunkload

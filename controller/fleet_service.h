#pragma once

#include <atomic>

#include "common/clock.h"
#include "controller/caller_check.h"
#include "controller/controller_thread.h"
#include "controller/token_desk.h"
#include "trunkload/v1/fleet.grpc.pb.h"

namespace trunkload {

// Agents come in here: each call of Join is one agent's stream, and each of KeepAlive its heartbeats.
// Thread-safe.
class FleetService final : public v1::FleetService::CallbackService {
 public:
  // All must outlive every call.
  struct Parts {
    const CallerCheck& check;
    TokenDesk& desk;
    const Clock& clock;
    ControllerThread& controller;
  };
  explicit FleetService(const Parts& parts) : parts_(parts) {}

  grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* Join(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::Heartbeat, v1::HeartbeatReply>* KeepAlive(
      grpc::CallbackServerContext* context) override;

 private:
  const Parts parts_;
  // Streams that have not said anything yet.
  std::atomic<int> silent_{0};
};

}  // namespace trunkload

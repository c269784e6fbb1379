#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/event_loop.h"
#include "common/clock.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

struct SessionEnd {
  absl::Status why;     // OK where the agent was told to stop, else the stream's end
  bool joined = false;  // the controller was there, and spoke
};

struct SessionOptions {
  std::string controller;  // HOST:PORT
  v1::Hello hello;
  bool allow_shell = false;  // scripts may run commands of the shell on this machine
};

// The agent's membership in one controller's fleet: from dialling it until the stream ends. Blocks the
// calling thread, which runs `loop` meanwhile and drives the run; `stop` (posted to the loop by whoever asks
// the agent to stop) ends it.
SessionEnd RunSession(const SessionOptions& options, EventLoop& loop, const bool& stop);

}  // namespace trunkload

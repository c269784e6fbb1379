#pragma once

#include <string>

#include "absl/status/status.h"
#include "agent/event_loop.h"
#include "agent/keep_alive.h"
#include "agent/outbox.h"
#include "agent/run.h"
#include "common/tls/transport.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

struct SessionEnd {
  absl::Status why;     // the stream's end
  bool joined = false;  // the controller was there, and spoke
};

// The controller, and how it is talked to.
struct ControllerPlace {
  std::string address;  // HOST:PORT
  Transport transport;
  std::string token_file;  // with a join token; empty: none
  std::string token;       // the same as a text
};

// What outlives a session: the agent's own.
struct SessionParts {
  EventLoop& loop;
  Outbox& outbox;
  Run& run;
  KeepAlive& keep_alive;
};

// One stream between the agent and its controller: from dialling it until the stream ends. Blocks the calling
// thread, which runs the loop meanwhile and drives the run. What is in the TLS folder is read anew.
// `may_end`, asked after each event, says whether the agent is to leave.
SessionEnd RunSession(const ControllerPlace& controller, const v1::Hello& hello, const SessionParts& parts,
                      absl::AnyInvocable<bool()> may_end);

}  // namespace trunkload

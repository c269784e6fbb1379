#pragma once

#include "absl/status/status.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// The controller's end of one agent's stream. Thread-safe; nothing here blocks.
class AgentStream {
 public:
  virtual ~AgentStream() = default;
  // In order. Dropped when the stream has broken.
  virtual void Send(const v1::ControllerMessage& message) = 0;
  // The last call: what was sent before is still delivered, then the stream ends with `why`.
  virtual void Close(const absl::Status& why) = 0;
  // A message that this stream gave to the controller has been dealt with: it may read another.
  virtual void OnMessageTaken() = 0;
};

}  // namespace trunkload

#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "agent/lease.h"
#include "common/clock.h"
#include "trunkload/v1/fleet.grpc.pb.h"

namespace trunkload {

// Heartbeats to the controller, on a thread of their own that has nothing else to do: neither a busy machine
// nor a long line of intervals holds them up. Thread-safe.
class KeepAlive {
 public:
  // `on_tick` is called on that thread, several times a second for as long as this object lives: must not
  // block.
  KeepAlive(uint64_t instance, absl::AnyInvocable<void()> on_tick);
  ~KeepAlive();

  // Once the controller has let the agent in, by the join token if that is not empty. The stub must outlive
  // the stream, which End ends: blocks until then.
  void Begin(v1::FleetService::Stub& stub, const std::string& token);
  void End();

  // See Lease.
  int64_t confirmed_ns();
  // The stream that was begun is of no use any more: it broke, or a heartbeat was not answered for some
  // seconds, so that another connection is likelier to get through.
  bool broken();

 private:
  class Stream;

  void Beat();
  // gRPC's condition for what waits is of steady time, which absl's is not: a wall clock that jumps delays no
  // heartbeat.
  std::mutex mutex_;
  std::condition_variable changed_;
  const SystemClock clock_;
  const uint64_t instance_;
  absl::AnyInvocable<void()> on_tick_;
  Lease lease_;
  std::unique_ptr<Stream> stream_;
  int64_t last_beat_ns_ = 0;
  int64_t unanswered_since_ns_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace trunkload

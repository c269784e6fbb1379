#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// What an agent has to tell its controller and the controller has not yet on disk, in order, over however
// many streams: each message gets a sequence number, and an interval its own, when it is first handed to a
// stream. Intervals that no stream has had yet are merged with their neighbours where they become too many:
// nothing that was measured is ever dropped, it only gets coarser in time. Not thread-safe.
class Outbox {
 public:
  struct Limits {
    // A quarter of an hour, second by second. Beyond that pairs of seconds become one interval, and so on.
    size_t messages = 1'000;
    // Where logs of transactions fill this, those of the oldest intervals are given up, and counted.
    size_t bytes = 256 << 20;
    // On their way at once: those can't be merged any more.
    size_t unacknowledged = 64;
  };

  Outbox() : Outbox(Limits{}) {}
  explicit Outbox(const Limits& limits) : limits_(limits) {}

  // Any but Hello and ClockReply, which are of one stream.
  void Add(v1::AgentMessage message);
  // The next that this stream has not had yet; none where all were sent, or too many are on their way.
  std::shared_ptr<const v1::AgentMessage> Next();
  // What was not acknowledged is to be sent again, on another stream.
  void BeginStream() { sent_ = 0; }
  // All up to this number, whatever stream they went over.
  void OnAcknowledged(uint64_t sequence);
  bool empty() const { return messages_.empty(); }
  size_t size() const { return messages_.size(); }

 private:
  void Number(v1::AgentMessage& message);
  void MakeRoom();
  void MergeNeighbours();
  void GiveUpLogs();

  const Limits limits_;
  // The first numbered_ of them have a sequence number, and never change again; the first sent_ of those were
  // handed to this stream.
  std::deque<std::shared_ptr<v1::AgentMessage>> messages_;
  size_t numbered_ = 0;
  size_t sent_ = 0;
  size_t bytes_ = 0;
  uint64_t last_sequence_ = 0;
  // Of the phase that was numbered last.
  uint64_t intervals_ = 0;
};

}  // namespace trunkload

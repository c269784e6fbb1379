#include "agent/outbox.h"

#include <algorithm>
#include <utility>

#include "common/interval.h"

namespace trunkload {
namespace {

bool Neighbours(const v1::AgentMessage& first, const v1::AgentMessage& second) {
  return first.has_interval() && second.has_interval() &&
         first.interval().run_id() == second.interval().run_id() &&
         first.interval().phase() == second.interval().phase();
}

}  // namespace

void Outbox::Add(v1::AgentMessage message) {
  bytes_ += message.ByteSizeLong();
  messages_.push_back(std::make_shared<v1::AgentMessage>(std::move(message)));
  if (messages_.size() > limits_.messages || bytes_ > limits_.bytes) MakeRoom();
}

std::shared_ptr<const v1::AgentMessage> Outbox::Next() {
  if (sent_ == messages_.size() || sent_ == limits_.unacknowledged) return nullptr;
  const std::shared_ptr<v1::AgentMessage>& next = messages_[sent_];
  if (sent_ == numbered_) {
    Number(*next);
    ++numbered_;
  }
  ++sent_;
  return next;
}

void Outbox::Number(v1::AgentMessage& message) {
  const size_t before = message.ByteSizeLong();
  message.set_sequence(++last_sequence_);
  if (message.has_interval()) {
    // The load numbers them too, each phase from 0, but does not know which ones were merged.
    if (message.interval().number() == 0) intervals_ = 0;
    message.mutable_interval()->set_number(intervals_++);
  } else if (message.has_phase_ended()) {
    message.mutable_phase_ended()->set_intervals(intervals_);
  }
  bytes_ += message.ByteSizeLong() - before;
}

void Outbox::OnAcknowledged(uint64_t sequence) {
  while (numbered_ > 0 && messages_.front()->sequence() <= sequence) {
    bytes_ -= messages_.front()->ByteSizeLong();
    messages_.pop_front();
    --numbered_;
    // Of an earlier stream, where this one has not had it again yet.
    if (sent_ > 0) --sent_;
  }
}

void Outbox::MakeRoom() {
  if (messages_.size() > limits_.messages) MergeNeighbours();
  if (bytes_ > limits_.bytes) GiveUpLogs();
}

// Every two of them, so that the next time is as far away as this one was.
void Outbox::MergeNeighbours() {
  std::deque<std::shared_ptr<v1::AgentMessage>> merged(messages_.begin(),
                                                       messages_.begin() + static_cast<ptrdiff_t>(numbered_));
  bool may_merge = false;
  for (size_t i = numbered_; i < messages_.size(); ++i) {
    if (may_merge && Neighbours(*merged.back(), *messages_[i])) {
      bytes_ -= merged.back()->ByteSizeLong() + messages_[i]->ByteSizeLong();
      MergeInterval(messages_[i]->interval(), *merged.back()->mutable_interval());
      bytes_ += merged.back()->ByteSizeLong();
      may_merge = false;
    } else {
      merged.push_back(std::move(messages_[i]));
      may_merge = true;
    }
  }
  messages_ = std::move(merged);
}

void Outbox::GiveUpLogs() {
  for (size_t i = numbered_; i < messages_.size() && bytes_ > limits_.bytes; ++i) {
    if (!messages_[i]->has_interval() || !messages_[i]->interval().has_log()) continue;
    bytes_ -= messages_[i]->ByteSizeLong();
    v1::Interval& interval = *messages_[i]->mutable_interval();
    interval.set_log_dropped(interval.log_dropped() + static_cast<uint64_t>(interval.log().client_size()));
    interval.clear_log();
    bytes_ += messages_[i]->ByteSizeLong();
  }
}

}  // namespace trunkload

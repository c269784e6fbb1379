#include "agent/outbox.h"

#include "common/histogram.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

v1::AgentMessage IntervalOf(uint32_t second, uint64_t transactions = 1, size_t logged = 0) {
  v1::AgentMessage message;
  v1::Interval& interval = *message.mutable_interval();
  interval.set_run_id("r");
  interval.set_number(second);
  interval.set_first_second(second);
  interval.set_last_second(second);
  v1::ScriptInterval& script = *interval.add_scripts();
  script.set_transactions(transactions);
  (*script.mutable_errors())["40001"] = second;
  Histogram response;
  for (uint64_t i = 0; i < transactions; ++i) response.Record(1'000'000 * (second + 1));
  *script.mutable_response() = response.ToProto();
  for (size_t i = 0; i < logged; ++i) interval.mutable_log()->add_client(static_cast<uint32_t>(i));
  return message;
}

v1::AgentMessage PhaseEnd() {
  v1::AgentMessage message;
  message.mutable_phase_ended()->set_run_id("r");
  message.mutable_phase_ended()->set_intervals(1000);
  return message;
}

TEST(OutboxTest, KeepsWhatIsNotAcknowledgedAndSendsItAgain) {
  Outbox outbox;
  for (uint32_t second = 0; second < 3; ++second) outbox.Add(IntervalOf(second));
  EXPECT_EQ(outbox.Next()->sequence(), 1);
  EXPECT_EQ(outbox.Next()->sequence(), 2);
  outbox.OnAcknowledged(1);
  EXPECT_EQ(outbox.size(), 2);
  outbox.BeginStream();
  EXPECT_EQ(outbox.Next()->sequence(), 2);
  EXPECT_EQ(outbox.Next()->sequence(), 3);
  EXPECT_EQ(outbox.Next(), nullptr);
  // Of the stream before: this one has only just begun.
  outbox.BeginStream();
  outbox.OnAcknowledged(2);
  EXPECT_EQ(outbox.Next()->sequence(), 3);
  outbox.OnAcknowledged(1'000'000);
  EXPECT_TRUE(outbox.empty());
  outbox.Add(PhaseEnd());
  EXPECT_EQ(outbox.Next()->sequence(), 4) << "numbers are never used again";
}

TEST(OutboxTest, AMessageStaysWhileItIsBeingSent) {
  Outbox outbox;
  outbox.Add(IntervalOf(0));
  const std::shared_ptr<const v1::AgentMessage> sending = outbox.Next();
  outbox.OnAcknowledged(1);
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(sending->interval().scripts(0).transactions(), 1);
}

TEST(OutboxTest, OnlySoManyAreOnTheirWay) {
  Outbox outbox({.messages = 100, .bytes = 1 << 20, .unacknowledged = 2});
  for (uint32_t second = 0; second < 3; ++second) outbox.Add(IntervalOf(second));
  outbox.Next();
  outbox.Next();
  EXPECT_EQ(outbox.Next(), nullptr);
  outbox.OnAcknowledged(1);
  EXPECT_EQ(outbox.Next()->sequence(), 3);
}

TEST(OutboxTest, WhatIsTooMuchGetsCoarserAndIsNeverDropped) {
  Outbox outbox({.messages = 10, .bytes = 1 << 20, .unacknowledged = 64});
  outbox.Add(IntervalOf(0));
  const uint64_t sent = outbox.Next()->interval().scripts(0).transactions();
  constexpr uint32_t kSeconds = 1000;
  for (uint32_t second = 1; second < kSeconds; ++second) outbox.Add(IntervalOf(second, 2));
  outbox.Add(PhaseEnd());
  EXPECT_LE(outbox.size(), 11);
  uint64_t transactions = sent;
  uint64_t errors = 0;
  uint64_t number = 1;
  uint32_t next_second = 1;
  Histogram response;
  std::shared_ptr<const v1::AgentMessage> message;
  while ((message = outbox.Next()) != nullptr && message->has_interval()) {
    const v1::Interval& interval = message->interval();
    EXPECT_EQ(interval.number(), number++) << "without a gap";
    EXPECT_EQ(interval.first_second(), next_second) << "in order";
    next_second = interval.last_second() + 1;
    transactions += interval.scripts(0).transactions();
    errors += interval.scripts(0).errors().at("40001");
    response.Merge(*Histogram::FromProto(interval.scripts(0).response()));
  }
  EXPECT_EQ(next_second, kSeconds);
  EXPECT_EQ(transactions, 1 + 2 * (kSeconds - 1));
  EXPECT_EQ(response.count(), 2 * (kSeconds - 1));
  EXPECT_EQ(errors, uint64_t{kSeconds} * (kSeconds - 1) / 2);
  ASSERT_NE(message, nullptr);
  EXPECT_EQ(message->phase_ended().intervals(), number) << "as many as there are, not as there were";
}

TEST(OutboxTest, PhasesAreNotMergedWithEachOther) {
  Outbox outbox({.messages = 4, .bytes = 1 << 20, .unacknowledged = 64});
  for (uint32_t phase = 0; phase < 4; ++phase) {
    v1::AgentMessage message = IntervalOf(0);
    message.mutable_interval()->set_phase(phase);
    outbox.Add(std::move(message));
    outbox.Add(PhaseEnd());
  }
  for (uint32_t phase = 0; phase < 4; ++phase) {
    EXPECT_EQ(outbox.Next()->interval().phase(), phase);
    EXPECT_EQ(outbox.Next()->phase_ended().intervals(), 1);
  }
}

TEST(OutboxTest, LogsThatAreTooLargeAreGivenUpAndCounted) {
  Outbox outbox({.messages = 100, .bytes = 20'000, .unacknowledged = 64});
  for (uint32_t second = 0; second < 20; ++second) outbox.Add(IntervalOf(second, 1, 5'000));
  uint64_t kept = 0;
  uint64_t dropped = 0;
  while (const auto message = outbox.Next()) {
    kept += static_cast<uint64_t>(message->interval().log().client_size());
    dropped += message->interval().log_dropped();
  }
  EXPECT_EQ(kept + dropped, 20 * 5'000u);
  EXPECT_GT(kept, 0u);
  EXPECT_GT(dropped, 0u);
}

}  // namespace
}  // namespace trunkload

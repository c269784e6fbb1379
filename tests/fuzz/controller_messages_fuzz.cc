#include <memory>

#include "agent/key_source.h"
#include "agent/pacer.h"
#include "agent/run.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/fuzz_steps.h"

namespace trunkload {
namespace {

class StoppedClock : public Clock {
 public:
  int64_t MonotonicNanos() const override { return 1; }
  int64_t WallNanos() const override { return 1; }
};

// Checks that it is called in the order that its interface promises.
class WatchedLoad : public Load {
 public:
  WatchedLoad(LoadEvents& events, WatchedLoad*& current) : events_(events), current_(current) {
    current_ = this;
  }
  ~WatchedLoad() override { current_ = nullptr; }

  void Open(const v1::Assignment& assignment) override {
    FUZZ_CHECK(phases_ < 0, phases_);
    phases_ = assignment.phases_size();
    next_ = static_cast<int>(assignment.next_phase());
    for (const v1::ApplicationServer& server : assignment.application_servers()) DrawFrom(assignment, server);
  }
  void ChangePhase(uint32_t phase, const v1::Phase& described) override {
    FUZZ_CHECK(!under_way_ && static_cast<int>(phase) >= next_ && static_cast<int>(phase) < phases_, phase);
    FUZZ_CHECK(described.load().has_open(), phase);
  }
  void StartPhase(uint32_t phase, int64_t) override {
    FUZZ_CHECK(!under_way_ && static_cast<int>(phase) >= next_ && static_cast<int>(phase) < phases_, phase);
    next_ = static_cast<int>(phase) + 1;
    under_way_ = true;
  }
  void StopPhase(absl::Duration) override { FUZZ_CHECK(under_way_, next_); }
  void TakeOver(const std::vector<v1::ApplicationServer>&) override { FUZZ_CHECK(under_way_, next_); }
  void RenewLease(int64_t) override {}
  void Close() override { closed_ = true; }

  void EndPhase() {
    if (!under_way_ || closed_) return;
    under_way_ = false;
    v1::PhaseEnded ended;
    ended.set_phase(static_cast<uint32_t>(next_ - 1));
    events_.OnInterval({});
    events_.OnPhaseEnded(ended);
  }
  void GetReady() {
    if (!closed_) events_.OnLoadReady(8, 1);
  }

 private:
  // What a reactor computes from an assignment, sanitizers watching.
  static void DrawFrom(const v1::Assignment& assignment, const v1::ApplicationServer& server) {
    KeySource keys(assignment, server);
    for (const v1::Script& script : assignment.scripts()) keys.Next(script.keys());
    for (int i = 0; i < assignment.phases_size(); ++i) {
      if (!assignment.phases(i).load().has_open()) continue;
      Pacer pacer(assignment.phases(i), {server.number(), assignment.fleet_application_servers(),
                                         server.shares(i).transactions(), server.seed()});
      if (pacer.count() > 0) pacer.DueNanos(0);
      if (pacer.count() > 1) pacer.DueNanos(pacer.count() - 1);
    }
  }

  LoadEvents& events_;
  WatchedLoad*& current_;
  int phases_ = -1;
  int next_ = 0;
  bool under_way_ = false;
  bool closed_ = false;
};

}  // namespace
}  // namespace trunkload

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trunkload::WatchedLoad;
  trunkload::FuzzSteps steps(data, size);
  const trunkload::StoppedClock clock;
  WatchedLoad* load = nullptr;
  trunkload::Outbox outbox({.messages = 8, .bytes = 4096, .unacknowledged = 3});
  trunkload::Run run(clock, outbox, [&load](trunkload::LoadEvents& events) {
    return std::make_unique<WatchedLoad>(events, load);
  });
  uint64_t last_sequence = 0;
  while (!steps.done()) {
    switch (steps.Byte() & 7) {
      case 0:
        if (load != nullptr) load->EndPhase();
        break;
      case 1:
        if (load != nullptr) load->GetReady();
        break;
      case 2:
        outbox.BeginStream();
        last_sequence = 0;
        break;
      case 3:
        run.CheckLease(steps.Byte());
        break;
      case 4:
        while (const auto next = outbox.Next()) {
          FUZZ_CHECK(next->kind_case() != 0 && next->sequence() > last_sequence, next->sequence());
          last_sequence = next->sequence();
        }
        break;
      default:
        if (trunkload::v1::ControllerMessage message; steps.Read(message)) {
          const auto reply = [](const trunkload::v1::AgentMessage& sent) {
            FUZZ_CHECK(sent.has_clock_reply(), "other");
          };
          // A broken protocol ends the stream; the load goes on until its lease ends.
          run.OnMessage(message, 1, reply).IgnoreError();
        }
    }
    FUZZ_CHECK(!run.active() || load != nullptr, run.active());
    FUZZ_CHECK(outbox.size() < 1000, outbox.size());
  }
  run.Leave();
  if (load != nullptr) load->EndPhase();
  FUZZ_CHECK(!run.active(), "still there");
  return 0;
}

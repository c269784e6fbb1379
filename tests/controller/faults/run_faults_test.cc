#include "controller/faults/run_faults.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "trunkload/v1/checkpoint.pb.h"

namespace trunkload {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kStart = 1000 * kSecond;
constexpr RunFaults::Phase kWarmUp{0, kStart};
constexpr RunFaults::Phase kMeasured{1, kStart + 100 * kSecond};

v1::Plan ThreeFaults() {
  v1::Plan plan;
  for (const char* name : {"warm-up", "measured"}) plan.add_phases()->set_name(name);
  const auto add = [&plan](const std::string& phase, int64_t at_s) {
    v1::Fault& fault = *plan.add_faults();
    fault.set_phase(phase);
    fault.mutable_at()->set_seconds(at_s);
    return &fault;
  };
  add("measured", 10)->set_kill("worker 1");
  add("measured", 5)->set_pause("worker 2");
  add("warm-up", 1)->set_command("echo done");
  return plan;
}

class RunFaultsTest : public testing::Test {
 protected:
  // Announced and on disk.
  void Save() { faults_.SetSaved(faults_.announced()); }

  const v1::Plan plan_ = ThreeFaults();
  RunFaults faults_{plan_};
};

TEST_F(RunFaultsTest, AreCarriedOutByTimeAndOnlyWhenOnDisk) {
  EXPECT_EQ(faults_.NextNanos(kWarmUp), kStart - kSecond);
  EXPECT_TRUE(faults_.Announce(kWarmUp, kStart));
  EXPECT_FALSE(faults_.Announce(kWarmUp, kStart)) << "once";
  EXPECT_THAT(faults_.results(), SizeIs(1));
  EXPECT_EQ(faults_.TakeDue(kWarmUp, kStart + 2 * kSecond), std::nullopt) << "it is not on disk";
  EXPECT_EQ(faults_.NextNanos(kWarmUp), std::numeric_limits<int64_t>::max());
  Save();
  EXPECT_EQ(faults_.NextNanos(kWarmUp), kStart + kSecond);
  EXPECT_EQ(faults_.TakeDue(kWarmUp, kStart), std::nullopt) << "it is not due";
  EXPECT_EQ(faults_.TakeDue(kWarmUp, kStart + kSecond), 2);
  EXPECT_TRUE(faults_.under_way());
  EXPECT_EQ(faults_.TakeDue(kWarmUp, kStart + 3 * kSecond), std::nullopt);
  faults_.OnEnded(2, kStart + 4 * kSecond, "");
  EXPECT_FALSE(faults_.under_way());

  EXPECT_TRUE(faults_.Announce(kMeasured, kMeasured.start_ns + 9 * kSecond));
  Save();
  EXPECT_EQ(faults_.TakeDue(kMeasured, kMeasured.start_ns + 9 * kSecond), 1);
  EXPECT_EQ(faults_.TakeDue(kMeasured, kMeasured.start_ns + 9 * kSecond), std::nullopt);
  EXPECT_EQ(faults_.TakeDue(kMeasured, kMeasured.start_ns + 10 * kSecond), 0);
}

TEST_F(RunFaultsTest, TellWhatBecameOfThem) {
  faults_.Announce(kWarmUp, kStart);
  Save();
  faults_.TakeDue(kWarmUp, kStart + kSecond);
  faults_.OnBegan(2, kStart + 3 * kSecond / 2);
  // In the next phase: by the time of its own.
  faults_.OnEnded(2, kStart + 101 * kSecond, "");
  faults_.Announce(kMeasured, kMeasured.start_ns + 5 * kSecond);
  Save();
  faults_.TakeDue(kMeasured, kMeasured.start_ns + 5 * kSecond);
  faults_.OnEnded(1, kMeasured.start_ns + 5 * kSecond, "nothing listens there");
  faults_.Skip(2, "its phase was over before");

  v1::RunResult result;
  for (const char* name : {"warm-up", "measured"}) result.add_phases()->set_name(name);
  faults_.AddTo(result);
  ASSERT_EQ(result.faults_size(), 3);
  const v1::FaultResult& command = result.faults(0);
  EXPECT_EQ(command.phase(), "warm-up");
  EXPECT_EQ(command.what(), "run 'echo done'");
  EXPECT_EQ(command.began_s(), 1.5);
  EXPECT_EQ(command.ended_s(), 101);
  EXPECT_EQ(command.failure(), "");
  EXPECT_EQ(result.faults(1).failure(), "nothing listens there");
  EXPECT_FALSE(result.faults(1).has_ended_s());
  EXPECT_EQ(result.faults(2).failure(), "it was not carried out: its phase was over before");
  EXPECT_EQ(result.faults(2).began_s(), 10);
  ASSERT_EQ(result.verdict().notes_size(), 3);
  EXPECT_EQ(result.verdict().notes(0),
            "fault on purpose, pause worker 2 at 5.0 s of measured: nothing listens there");
  EXPECT_THAT(result.verdict().notes(2), HasSubstr("hold what was broken on purpose: run "));
  EXPECT_THAT(result.verdict().notes(2), Not(HasSubstr("kill")));
}

TEST_F(RunFaultsTest, AnotherControllerDoesNotDoThemAgain) {
  faults_.Announce(kWarmUp, kStart);
  v1::RunCheckpoint checkpoint;
  for (const v1::FaultResult& fault : faults_.results()) *checkpoint.add_faults() = fault;
  RunFaults other(plan_);
  ASSERT_TRUE(other.Restore(checkpoint.faults()).ok());
  EXPECT_FALSE(other.Announce(kWarmUp, kStart + 9 * kSecond));
  EXPECT_EQ(other.TakeDue(kWarmUp, kStart + 9 * kSecond), std::nullopt);
  EXPECT_FALSE(other.under_way());
  EXPECT_THAT(other.results()[0].failure(), HasSubstr("the controller was killed"));
  EXPECT_TRUE(other.Announce(kMeasured, kMeasured.start_ns + 5 * kSecond))
      << "those that come later are done";

  // One that had ended stays as it was.
  checkpoint.mutable_faults(0)->set_ended_s(3);
  RunFaults third(plan_);
  ASSERT_TRUE(third.Restore(checkpoint.faults()).ok());
  EXPECT_EQ(third.results()[0].failure(), "");
}

TEST_F(RunFaultsTest, ADamagedCheckpointIsRefused) {
  v1::RunCheckpoint checkpoint;
  checkpoint.add_faults()->set_what("kill worker 7");
  EXPECT_TRUE(absl::IsDataLoss(faults_.Restore(checkpoint.faults())));
  RunFaults none((v1::Plan()));
  EXPECT_TRUE(absl::IsDataLoss(none.Restore(checkpoint.faults())));
}

}  // namespace
}  // namespace trunkload

#include "controller/plan/plan_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "controller/plan/plan_check.h"

namespace trunkload {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr absl::string_view kSmallPlan = R"(name: small
scripts: [{builtin: insert-single}]
phases: [{name: only, duration: 1s, load: {closed: {clients: 1}}}]
)";

std::string ErrorOf(const absl::StatusOr<v1::Plan>& plan) {
  EXPECT_FALSE(plan.ok());
  return std::string(plan.status().message());
}

class PlanFileTest : public ::testing::Test {
 protected:
  PlanFileTest() { std::filesystem::create_directory(directory_); }
  ~PlanFileTest() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& text) {
    const std::string file = directory_ / "plan.yaml";
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

  const std::filesystem::path directory_ =
      std::filesystem::path(::testing::TempDir()) /
      absl::StrCat("plan_loader_test.", getpid(), ".",
                   ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(PlanFileTest, LoadsTheQuickstartsPlan) {
  const absl::StatusOr<v1::Plan> plan = LoadPlan(TRUNKLOAD_SOURCE_DIR "/plans/insert-throughput.yaml");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->name(), "insert-throughput");
  EXPECT_EQ(plan->target().conninfo(), "host=127.0.0.1 port=5432 dbname=bench user=bench");
  EXPECT_EQ(plan->setup().workload(), v1::WORKLOAD_USERS);
  EXPECT_EQ(plan->setup().distribution(), v1::DISTRIBUTION_AUTO);
  EXPECT_EQ(plan->fleet().application_servers(), 6);
  EXPECT_EQ(plan->fleet().pool().size(), 8);
  EXPECT_EQ(plan->fleet().pool().mode(), v1::POOL_MODE_TRANSACTION);
  EXPECT_EQ(plan->fleet().pool().acquire_timeout().seconds(), 5);
  ASSERT_EQ(plan->scripts_size(), 2);
  EXPECT_EQ(plan->scripts(1).builtin(), v1::BUILTIN_INSERT_BATCH);
  EXPECT_EQ(plan->scripts(1).variables().at("batch"), "100");
  ASSERT_EQ(plan->phases_size(), 3);
  EXPECT_FALSE(plan->phases(0).record());
  EXPECT_EQ(plan->phases(0).load().closed().clients(), 24);
  EXPECT_TRUE(plan->phases(2).record());
  EXPECT_EQ(plan->phases(2).duration().seconds(), 8);
  EXPECT_EQ(plan->phases(2).load().open().rate(), 2000);
  EXPECT_EQ(plan->phases(2).load().open().arrivals(), v1::ARRIVALS_POISSON);
  EXPECT_EQ(plan->objectives(0), "p99(response) < 50ms");
}

TEST_F(PlanFileTest, FillsInDefaults) {
  const absl::StatusOr<v1::Plan> plan = LoadPlan(Write(std::string(kSmallPlan)));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_FALSE(plan->has_setup()) << "no tables are made where the plan doesn't ask for it";
  EXPECT_EQ(plan->fleet().application_servers(), 1);
  EXPECT_EQ(plan->fleet().pool().size(), 8);
  EXPECT_EQ(plan->fleet().pool().connect_timeout().seconds(), 10);
  EXPECT_EQ(plan->scripts(0).weight(), 1);
  EXPECT_EQ(plan->scripts(0).keys().distribution(), v1::KEY_DISTRIBUTION_SEQUENTIAL);
  EXPECT_DOUBLE_EQ(plan->scripts(0).keys().exponent(), 1.1);
  EXPECT_TRUE(plan->phases(0).record());
  EXPECT_TRUE(plan->phases(0).load().closed().has_think_time());
  EXPECT_FALSE(plan->phases(0).load().has_open());
  EXPECT_FALSE(plan->phases(0).has_transactions());
  EXPECT_EQ(plan->seed(), 1);
}

TEST_F(PlanFileTest, StagesGiveThePhaseItsDuration) {
  const absl::StatusOr<v1::Plan> plan = ParsePlan(R"(name: ramp
scripts: [{builtin: insert-copy}]
phases: [{name: ramp, load: {open: {stages: [{duration: 1500ms, ramp_to: 100/s}, {duration: 1m, rate: 60/min}]}}}]
)",
                                                  "plan.yaml");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->phases(0).duration().seconds(), 61);
  EXPECT_EQ(plan->phases(0).duration().nanos(), 500'000'000);
  EXPECT_EQ(plan->phases(0).load().open().stages(1).rate(), 1);
}

TEST_F(PlanFileTest, FaultsAreOfTheFirstRecordedPhaseUnlessTheySayMore) {
  const absl::StatusOr<v1::Plan> plan = ParsePlan(R"(name: broken
scripts: [{builtin: insert-copy}]
phases:
  - {name: warm-up, record: false, duration: 9s, load: {closed: {clients: 1}}}
  - {name: measured, duration: 9s, load: {closed: {clients: 1}}}
  - {name: after, duration: 9s, load: {closed: {clients: 1}}}
faults: [{kill: worker 1}, {phase: warm-up, at: 2500ms, lasts: 1m, cut_off: coordinator}]
)",
                                                  "plan.yaml");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->faults(0).phase(), "measured");
  EXPECT_EQ(plan->faults(0).kill(), "worker 1");
  EXPECT_EQ(plan->faults(0).at().seconds(), 0);
  EXPECT_EQ(plan->faults(0).lasts().seconds(), 5);
  EXPECT_EQ(plan->faults(1).phase(), "warm-up");
  EXPECT_EQ(plan->faults(1).at().nanos(), 500'000'000);
  EXPECT_EQ(plan->faults(1).lasts().seconds(), 60);
}

TEST_F(PlanFileTest, SaysWhyAFileIsNoPlan) {
  EXPECT_THAT(ErrorOf(LoadPlan("/nonexistent/plan.yaml")),
              HasSubstr("/nonexistent/plan.yaml: the plan can't be read: No such file or directory"));
  EXPECT_THAT(ErrorOf(LoadPlan(directory_)), HasSubstr(": a directory; expected a plan"));
  EXPECT_THAT(ErrorOf(LoadPlan(Write(""))), HasSubstr("plan.yaml: empty; expected a plan"));
  EXPECT_THAT(ErrorOf(LoadPlan(Write("# nothing\n\n"))), HasSubstr("plan.yaml: empty; expected a plan"));
  EXPECT_THAT(
      ErrorOf(LoadPlan(Write(absl::StrCat(kSmallPlan, "---\n", kSmallPlan)))),
      HasSubstr("plan.yaml:4:1: a second YAML document, or something stray; expected one plan in a file"));
  EXPECT_THAT(ErrorOf(LoadPlan("/dev/zero")), HasSubstr("/dev/zero: larger than 1 MiB"));
}

TEST_F(PlanFileTest, RefusesALargeFileByItsSize) {
  const std::string file = Write(std::string(kSmallPlan));
  std::filesystem::resize_file(file, 10 << 20);
  EXPECT_THAT(ErrorOf(LoadPlan(file)), HasSubstr("plan.yaml: larger than 1 MiB"));
  // The largest that is read is parsed, too: the rest of this one is NUL characters.
  std::filesystem::resize_file(file, 1 << 20);
  EXPECT_THAT(ErrorOf(LoadPlan(file)), HasSubstr("plan.yaml:4:1: a control character (0x00)"));
}

TEST_F(PlanFileTest, UnreadableFile) {
  const std::string file = Write(std::string(kSmallPlan));
  ASSERT_EQ(chmod(file.c_str(), 0), 0);
  // Root would read it all the same.
  const uid_t user = geteuid();
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(seteuid(user == 0 ? kNobody : user), 0);
  const absl::StatusOr<v1::Plan> plan = LoadPlan(file);
  ASSERT_EQ(seteuid(user), 0);
  EXPECT_THAT(ErrorOf(plan), HasSubstr("plan.yaml: the plan can't be read: Permission denied"));
}

}  // namespace
}  // namespace trunkload

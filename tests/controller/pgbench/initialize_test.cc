#include "controller/pgbench/initialize.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;

TEST(InitializeTest, OptionsBecomeAPlanWithoutPhases) {
  const absl::StatusOr<v1::Plan> plan =
      InitializePlan({.scale = 7, .no_vacuum = true, .foreign_keys = true, .loaders = 3}, v1::Target());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->setup().scale(), 7);
  EXPECT_EQ(plan->setup().steps(), "dtgp");
  EXPECT_TRUE(plan->setup().foreign_keys());
  EXPECT_EQ(plan->setup().loaders(), 3);
  EXPECT_TRUE(plan->phases().empty());
}

TEST(InitializeTest, SaysWhatIsWrong) {
  EXPECT_THAT(InitializePlan({.steps = "dtx"}, v1::Target()).status().message(), HasSubstr("'x' is no step"));
  EXPECT_THAT(InitializePlan({.steps = " "}, v1::Target()).status().message(), HasSubstr("setup.steps"));
  EXPECT_THAT(InitializePlan({.fillfactor = 9}, v1::Target()).status().message(),
              HasSubstr("setup.fillfactor"));
}

v1::Progress Loaded(double elapsed_s, uint64_t rows) {
  v1::Progress progress;
  progress.set_step("client-side generate");
  progress.set_elapsed_s(elapsed_s);
  progress.set_rows_loaded(rows);
  progress.set_rows_to_load(1000);
  return progress;
}

TEST(InitializeTest, TellsEachStepOnceAndHowFarItHasCome) {
  InitializeMessages messages(/*quiet=*/false, /*partitions=*/0);
  v1::Progress progress;
  progress.set_step("drop tables");
  EXPECT_EQ(messages.OnProgress(progress), "dropping old tables...\n");
  EXPECT_EQ(messages.OnProgress(progress), "");
  EXPECT_EQ(messages.OnProgress(Loaded(0, 0)), "generating data (client-side)...\n");
  EXPECT_EQ(messages.OnProgress(Loaded(2, 250)),
            "250 of 1000 tuples (25%) done (elapsed 2.00 s, remaining 6.00 s)\n");
  InitializeMessages quiet(/*quiet=*/true, /*partitions=*/3);
  progress.set_step("create tables");
  EXPECT_EQ(quiet.OnProgress(progress), "creating tables...\ncreating 3 partitions...\n");
  EXPECT_EQ(quiet.OnProgress(Loaded(0, 0)), "generating data (client-side)...\n");
  EXPECT_EQ(quiet.OnProgress(Loaded(4, 250)), "");
  EXPECT_THAT(quiet.OnProgress(Loaded(5, 500)), HasSubstr("50%"));
}

TEST(InitializeTest, SumsUp) {
  v1::Run run;
  for (const char* name : {"drop tables", "client-side generate"}) {
    v1::SetUpStep& step = *run.add_set_up();
    step.set_name(name);
    step.set_seconds(0.25);
  }
  EXPECT_EQ(InitializeMessages::Summary(run),
            "done in 0.50 s (drop tables 0.25 s, client-side generate 0.25 s).\n");
}

}  // namespace
}  // namespace trunkload

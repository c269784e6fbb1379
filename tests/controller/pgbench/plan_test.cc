#include "controller/pgbench/plan.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/duration.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;

PgbenchOptions Options(const std::string& line) {
  const std::vector<std::string> arguments = absl::StrSplit(line, ' ', absl::SkipEmpty());
  const absl::StatusOr<PgbenchRequest> request = ParsePgbenchOptions(arguments, nullptr);
  EXPECT_TRUE(request.ok()) << request.status();
  return request->options;
}

v1::Plan Plan(const std::string& line) {
  const absl::StatusOr<v1::Plan> plan = PgbenchPlan(Options(line), /*scale=*/3, /*seed=*/42);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : v1::Plan();
}

TEST(PgbenchPlanTest, ClientsHaveAConnectionEach) {
  const v1::Plan plan = Plan("-c 10 -j 2 --agents=3");
  EXPECT_EQ(plan.fleet().connections(), 10u);
  EXPECT_EQ(plan.fleet().application_servers(), 6u);
  EXPECT_EQ(plan.fleet().threads(), 2u);
  EXPECT_EQ(plan.fleet().pool().mode(), v1::POOL_MODE_SESSION);
  ASSERT_EQ(plan.phases_size(), 1);
  EXPECT_EQ(plan.phases(0).transactions(), 100u);
  EXPECT_EQ(plan.phases(0).load().closed().clients(), 10u);
  EXPECT_EQ(Plan("-c 4 -j 4 --agents=3").fleet().application_servers(), 4u);
  EXPECT_EQ(Plan("-C").fleet().pool().mode(), v1::POOL_MODE_RECONNECT);
}

TEST(PgbenchPlanTest, ARateIsAnOpenLoad) {
  const v1::Plan plan = Plan("-c 4 -R 100 -T 5 -L 20");
  EXPECT_EQ(plan.fleet().pool().mode(), v1::POOL_MODE_TRANSACTION);
  EXPECT_EQ(plan.phases(0).load().open().rate(), 100);
  EXPECT_EQ(plan.phases(0).load().open().arrivals(), v1::ARRIVALS_POISSON);
  EXPECT_EQ(FromProto(plan.phases(0).duration()), absl::Seconds(5));
  EXPECT_EQ(FromProto(plan.phases(0).latency_limit()), absl::Milliseconds(20));
  EXPECT_EQ(Plan("-c 4 -R 100 -t 7").phases(0).transactions(), 28u);
}

TEST(PgbenchPlanTest, ScriptsRunAsTheOptionsSay) {
  const v1::Plan plan = Plan("-b tpcb@2 -S -M extended --max-tries=4 -r");
  ASSERT_EQ(plan.scripts_size(), 2);
  EXPECT_EQ(plan.scripts(0).name(), "tpcb-like");
  EXPECT_EQ(plan.scripts(0).weight(), 2u);
  EXPECT_THAT(plan.scripts(0).text(), HasSubstr("UPDATE pgbench_accounts"));
  for (const v1::Script& script : plan.scripts()) {
    EXPECT_EQ(script.query_mode(), v1::QUERY_MODE_EXTENDED);
    EXPECT_EQ(script.max_tries(), 4u);
    EXPECT_TRUE(script.per_command());
    EXPECT_FALSE(script.continue_on_error());
  }
  EXPECT_TRUE(Plan("--continue-on-error").scripts(0).continue_on_error());
}

// The seed is the one that pgbench 15 gives its second client's successor: what hash() uses, with
// --random-seed=42 -c 2.
TEST(PgbenchPlanTest, VariablesAreAsInPgbench) {
  const v1::Plan plan = Plan("-c 2 -D x=5");
  EXPECT_EQ(plan.seed(), 42u);
  EXPECT_EQ(plan.variables().at("scale"), "3");
  EXPECT_EQ(plan.variables().at("x"), "5");
  EXPECT_EQ(plan.variables().at("default_seed"), "4482733528210176216");
  EXPECT_EQ(Plan("-D default_seed=1").variables().at("default_seed"), "1");
}

TEST(PgbenchPlanTest, TheLogIsAskedFor) {
  EXPECT_FALSE(Plan("").phases(0).has_log_sampling());
  EXPECT_EQ(Plan("-l").phases(0).log_sampling(), 1);
  EXPECT_EQ(Plan("-l --sampling-rate=0.25").phases(0).log_sampling(), 0.25);
}

TEST(PgbenchPlanTest, AFileThatIsNotThereIsNamed) {
  const absl::StatusOr<v1::Plan> plan = PgbenchPlan(Options("-f /nowhere/mine.sql"), 1, 1);
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("/nowhere/mine.sql"));
}

TEST(PgbenchTargetTest, ADatabaseIsANameOrAConnectionString) {
  EXPECT_EQ(PgbenchTarget(Options("")).conninfo(), "");
  EXPECT_EQ(PgbenchTarget(Options("-h a -p 5 -U u b")).conninfo(), "user='u' dbname='b' host='a' port='5'");
  EXPECT_EQ(PgbenchTarget(Options("it's")).conninfo(), "dbname='it\\'s'");
  // What the string says goes before the options, as in pgbench.
  EXPECT_EQ(PgbenchTarget(Options("-h a -p 5 host=b")).conninfo(), "host='b' port='5'");
  EXPECT_EQ(PgbenchTarget(Options("-U u postgresql://c/d")).conninfo(), "user='u' dbname='d' host='c'");
}

TEST(PgbenchPlanTest, AMistakeIsShownInItsFile) {
  const std::string path = absl::StrCat(testing::TempDir(), "/pgbench_plan_test.", getpid(), ".sql");
  std::ofstream(path) << "SELECT 1;\n\\set x 1 +\n";
  const absl::StatusOr<v1::Plan> plan = PgbenchPlan(Options("-f " + path), 1, 1);
  EXPECT_THAT(std::string(plan.status().message()),
              testing::AllOf(testing::StartsWith(path + ":2:11: "), testing::EndsWith("^")));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace trunkload

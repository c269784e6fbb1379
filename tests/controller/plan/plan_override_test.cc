#include "controller/plan/plan_override.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "controller/plan/plan_loader.h"

namespace trunkload {
namespace {

using ::testing::StartsWith;

constexpr absl::string_view kPlan = R"(name: p
target: {conninfo: host=db1, service: bench}
fleet: {pool: {size: 4, mode: session}}
scripts:
- {builtin: insert-single, weight: 3}
- {builtin: insert-batch}
phases:
- {name: warm-up, record: false, duration: 1s, load: {closed: {clients: 1}}}
- {name: open, duration: 1s, load: {open: {rate: 10/s}}}
objectives: [error_rate < 1%]
)";

v1::Plan PlanWith(std::vector<std::string> settings) {
  const absl::StatusOr<v1::Plan> plan = ParsePlan(kPlan, "p.yaml", {.set = std::move(settings)});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : v1::Plan();
}

std::string ErrorOf(std::vector<std::string> settings) {
  const absl::StatusOr<v1::Plan> plan = ParsePlan(kPlan, "p.yaml", {.set = std::move(settings)});
  EXPECT_FALSE(plan.ok());
  return std::string(plan.status().message());
}

TEST(PlanOverrideTest, ReplacesAField) {
  EXPECT_EQ(PlanWith({"fleet.pool.size=16"}).fleet().pool().size(), 16);
  EXPECT_EQ(PlanWith({"seed=7"}).seed(), 7);
  EXPECT_EQ(PlanWith({"seed=7", "seed=8"}).seed(), 8);
  EXPECT_EQ(PlanWith({"setup={workload: users, rows: 5}", "setup.rows=6"}).setup().rows(), 6);
  const v1::Pool pool = PlanWith({"fleet.pool={size: 2}"}).fleet().pool();
  EXPECT_EQ(pool.size(), 2);
  EXPECT_EQ(pool.mode(), v1::POOL_MODE_TRANSACTION) << "a whole map is replaced, not merged";
}

TEST(PlanOverrideTest, FindsItemsByIndexAndByName) {
  EXPECT_EQ(PlanWith({"phases.open.duration=30s"}).phases(1).duration().seconds(), 30);
  EXPECT_EQ(PlanWith({"phases.1.duration=30s"}).phases(1).duration().seconds(), 30);
  EXPECT_EQ(PlanWith({"phases.warm-up.load.closed.clients=3"}).phases(0).load().closed().clients(), 3);
  EXPECT_EQ(PlanWith({"scripts.1.weight=0"}).scripts(1).weight(), 0);
  EXPECT_EQ(PlanWith({"scripts.0={builtin: insert-copy}"}).scripts(0).weight(), 1);
  EXPECT_EQ(PlanWith({"objectives.0=rows > 1/s"}).objectives(0), "rows > 1/s");
}

TEST(PlanOverrideTest, ReplacesListsAndChoices) {
  const v1::Plan plan = PlanWith({"objectives=[rows > 1/s, p99(response) < 5ms]"});
  ASSERT_EQ(plan.objectives_size(), 2);
  EXPECT_EQ(plan.objectives(1), "p99(response) < 5ms");
  EXPECT_EQ(PlanWith({"objectives=[]"}).objectives_size(), 0);
  const v1::Load load = PlanWith({"phases.open.load={closed: {clients: 3}}"}).phases(1).load();
  EXPECT_EQ(load.closed().clients(), 3);
}

TEST(PlanOverrideTest, TakesTextAsItIs) {
  const std::string conninfo = "host=db2 options='-c x=1' password='# \"a: b'";
  EXPECT_EQ(PlanWith({"target.conninfo=" + conninfo}).target().conninfo(), conninfo);
  EXPECT_EQ(PlanWith({"target.service="}).target().service(), "");
}

TEST(PlanOverrideTest, TheTargetReplacesWhereHostsAreAndNotHowTheyAreShared) {
  const absl::StatusOr<v1::Plan> plan =
      ParsePlan(kPlan, "p.yaml",
                {.set = {"target.service=x", "target.load_balance_hosts=round-robin"},
                 .target = "postgresql://db3/bench"});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->target().conninfo(), "postgresql://db3/bench");
  EXPECT_EQ(plan->target().service(), "");
  EXPECT_EQ(plan->target().load_balance_hosts(), v1::LOAD_BALANCE_HOSTS_ROUND_ROBIN);
}

TEST(PlanOverrideTest, ReachesIntoMaps) {
  const v1::Plan plan = PlanWith(
      {"scripts.1.variables.batch=10", "variables.scale=5", "variables.scale=6", "variables.odd= [x: \\"});
  EXPECT_EQ(plan.scripts(1).variables().at("batch"), "10");
  EXPECT_EQ(plan.variables().at("scale"), "6");
  EXPECT_EQ(plan.variables().at("odd"), " [x: \\") << "taken as it is";
  EXPECT_EQ(plan.variables_size(), 2);
  const v1::Plan replaced = PlanWith({"variables.a=1", "variables={b: 0x1F, c: yes}"});
  EXPECT_EQ(replaced.variables_size(), 2);
  EXPECT_EQ(replaced.variables().at("b"), "0x1F") << "as written";
  EXPECT_EQ(replaced.variables().at("c"), "yes");
}

TEST(PlanOverrideTest, MistakesNameTheOption) {
  const struct {
    std::string setting;
    std::string error;
  } cases[] = {
      {"fleet.pool.siez=16",
       "--set fleet.pool.siez=16: fleet.pool.siez: unknown field; expected one of size, mode, "
       "acquire_timeout, connect_timeout, queue_limit; did you mean 'size'?"},
      {"fleet.pool.size=big",
       "--set fleet.pool.size=big: fleet.pool.size: not a whole number; expected a whole"},
      {"fleet.pool.size=0",
       "--set fleet.pool.size=0: fleet.pool.size: out of range; expected a whole number from 1"},
      {"fleet.pool.size=", "--set fleet.pool.size=: fleet.pool.size: no value; expected a whole number"},
      {"fleet.pool.size=[", "--set fleet.pool.size=[: not YAML: "},
      {"fleet.pool.size=\xff", "--set fleet.pool.size=\\xff: not UTF-8"},
      {"fleet.pool.size", "--set: no '='; expected KEY=VALUE, such as fleet.pool.size=16"},
      {"=1", "--set =1: unknown field; expected one of name"},
      {"fleet..size=1", "--set fleet..size=1: fleet.: unknown field; expected one of application_servers"},
      {"fleet.pool.size.x=1",
       "--set fleet.pool.size.x=1: fleet.pool.size: has no fields of its own; expected a whole"},
      {"fleet=8",
       "--set fleet=8: fleet: a single value; expected a map with application_servers, pool, threads"},
      {"phases.opn.duration=1s",
       "--set phases.opn.duration=1s: phases.opn: no such item; expected an index from 0 to "
       "1 or one of warm-up, open; did you mean 'open'?"},
      {"phases.2.duration=1s", "--set phases.2.duration=1s: phases.2: no such item"},
      {"phases.-1.duration=1s", "--set phases.-1.duration=1s: phases.-1: no such item"},
      {"objectives.1=rows > 1/s",
       "--set objectives.1=rows > 1/s: objectives.1: no such item; expected an index from 0 "
       "to 0"},
      {"objectives.0=rows > 1", "--set objectives.0=rows > 1: objectives.0: at character 9: expected a rate"},
      {"variables.a.b=1", "--set variables.a.b=1: variables.a: has no fields of its own; expected a text"},
      {"variables.1=1", "--set variables.1=1: variables.1: '1' can't be a variable's name"},
      {"variables.a=\xff", "--set variables.a=\\xff: variables.a: holds a NUL character or is not UTF-8"},
      {"variables=x", "--set variables=x: variables: a single value; expected a map of texts by name"},
      {"scripts.1.variables.batch=0",
       "--set scripts.1.variables.batch=0: scripts.1.variables.batch: '0' is no batch; expected a whole "
       "number "
       "from 1 to 20000"},
      {"scripts.0.text=\\sleep x",
       "--set scripts.0.text=\\\\sleep x: scripts.0.text: excludes builtin, which is there, too"},
      {"objectives.0.x=1", "--set objectives.0.x=1: objectives.0: has no fields of its own"},
      {"phases.open.load.closed.clients=1",
       "--set phases.open.load.closed.clients=1: phases.1.load.closed: the plan "
       "has open there; expected --set phases.1.load={closed: ...}"},
      {"phases.open.load={closed: {clients: 1}, open: {rate: 1}}",
       "--set phases.open.load={closed: {clients: 1}, open: "
       "{rate: 1}}: phases.1.load.open: excludes closed"},
      {"name=a b", "--set name=a b: name: 'a b' is not a name"},
      {"phases.open.duration=0s", "--set phases.open.duration=0s: phases.1.duration: out of range"},
      {"target.conninfo=hots=x", "--set target.conninfo: target.conninfo: not a connection string"},
  };
  for (const auto& expected : cases) {
    EXPECT_THAT(ErrorOf({expected.setting}), StartsWith(expected.error)) << expected.setting;
  }
}

TEST(PlanOverrideTest, APlaceInTheFileIsForgottenOnceItIsReplaced) {
  // The file's pool had a mode, in a place where now nothing is wrong.
  EXPECT_THAT(ErrorOf({"fleet.pool={size: 2, queue_limit: 0}"}),
              StartsWith("--set fleet.pool={size: 2, queue_limit: 0}: fleet.pool.queue_limit: out of range"));
  EXPECT_THAT(ErrorOf({"fleet.pool={size: 2}", "fleet.threads=0"}),
              StartsWith("--set fleet.threads=0: fleet.threads: out of range"));
}

}  // namespace
}  // namespace trunkload

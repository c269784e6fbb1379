#include "controller/sweep/sweep_cells.h"

#include <algorithm>

#include "controller/plan/plan_loader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

v1::Plan PlanWith(const std::string& sweep, const std::vector<std::string>& set = {}) {
  const absl::StatusOr<v1::Plan> plan = ParsePlan(
      "{name: p, setup: {workload: users}, scripts: [{builtin: insert-single}, {builtin: insert-batch}, "
      "{builtin: insert-copy}],"
      " phases: [{name: m, duration: 1s, load: {closed: {clients: 1}}}], sweep: " +
          sweep + "}",
      "p.yaml", {.set = set});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.value_or(v1::Plan());
}

std::string ErrorOf(const std::string& sweep) {
  return std::string(SweepSettings(PlanWith(sweep)).status().message());
}

TEST(SweepCellsTest, EveryCombinationInOrder) {
  const auto settings = SweepSettings(PlanWith("{pool.size: [4, 16], batch: [10, 1]}"));
  ASSERT_TRUE(settings.ok()) << settings.status();
  ASSERT_EQ(settings->size(), 4);
  EXPECT_THAT((*settings)[0].values, ElementsAre(Pair("batch", "10"), Pair("pool.size", "4")));
  EXPECT_THAT((*settings)[1].values, ElementsAre(Pair("batch", "10"), Pair("pool.size", "16")));
  EXPECT_THAT((*settings)[2].values, ElementsAre(Pair("batch", "1"), Pair("pool.size", "4")));
  EXPECT_EQ((*settings)[3].number, 3);
  EXPECT_THAT((*settings)[3].overrides, ElementsAre("scripts.1.variables.batch=1",
                                                    "scripts.2.variables.batch=1", "fleet.pool.size=16"));
}

TEST(SweepCellsTest, FieldsAreNamedAsSetNamesThem) {
  const auto settings =
      SweepSettings(PlanWith("{setup.distribution: [none], phases.m.load.closed.clients: [8], "
                             "target.isolation: [serializable]}"));
  ASSERT_TRUE(settings.ok());
  EXPECT_THAT(settings->front().overrides,
              ElementsAre("phases.m.load.closed.clients=8", "setup.distribution=none",
                          "target.isolation=serializable"));
}

TEST(SweepCellsTest, WithoutASweepThereAreNone) {
  EXPECT_TRUE(SweepSettings(PlanWith("{}"))->empty());
}

TEST(SweepCellsTest, WhatCannotBeSweptIsNamed) {
  EXPECT_THAT(ErrorOf("{bach: [1]}"), HasSubstr("sweep.bach: no field of a plan, and no variable"));
  EXPECT_THAT(ErrorOf("{cell.number: [1]}"), HasSubstr("no field"));
  EXPECT_THAT(ErrorOf("{sweep: [1]}"), HasSubstr("no field"));
  EXPECT_THAT(ErrorOf("{batch: []}"), HasSubstr("sweep.batch: no values"));
  EXPECT_THAT(ErrorOf("{batch: [1, 2, 1]}"), HasSubstr("'1' is there twice"));
  std::string many = "[0";
  for (int i = 1; i < 40; ++i) many += ", " + std::to_string(i);
  EXPECT_THAT(ErrorOf("{batch: " + many + "], pool.size: " + many + "]}"),
              HasSubstr("more than 1000 combinations"));
}

TEST(SweepCellsTest, SetCanChangeIt) {
  const auto settings =
      SweepSettings(PlanWith("{batch: [1, 2, 3]}", {"sweep.batch=[7]", "sweep.pool.size=[1]"}));
  ASSERT_TRUE(settings.ok());
  ASSERT_EQ(settings->size(), 1);
  EXPECT_THAT(settings->front().values, ElementsAre(Pair("batch", "7"), Pair("pool.size", "1")));
  const auto less = SweepSettings(PlanWith("{batch: [1, 2, 3]}", {"sweep.batch=[7]"}));
  ASSERT_TRUE(less.ok());
  EXPECT_EQ(less->size(), 1);
  EXPECT_TRUE(SweepSettings(PlanWith("{batch: [1]}", {"sweep={}"}))->empty());
}

TEST(SweepCellsTest, RandomOrderIsOfAllAndFollowsTheSeed) {
  v1::Plan plan = PlanWith("{batch: [1]}");
  EXPECT_THAT(SweepSequence(plan, 3), ElementsAre(0, 1, 2));
  plan.set_sweep_order(v1::SWEEP_ORDER_RANDOM);
  std::vector<uint32_t> one = SweepSequence(plan, 50);
  EXPECT_EQ(one, SweepSequence(plan, 50));
  plan.set_seed(2);
  EXPECT_NE(one, SweepSequence(plan, 50));
  EXPECT_FALSE(std::is_sorted(one.begin(), one.end()));
  std::sort(one.begin(), one.end());
  for (uint32_t i = 0; i < 50; ++i) EXPECT_EQ(one[i], i);
}

TEST(SweepCellsTest, WhatIsWrittenWrongHasItsPlace) {
  const auto error = [](const std::string& sweep) {
    return std::string(ParsePlan("name: p\nsweep: " + sweep, "p.yaml").status().message());
  };
  EXPECT_THAT(error("[1]"), HasSubstr("p.yaml:2:8: sweep: a list; expected a map of lists by name"));
  EXPECT_THAT(error("{batch: 3}"), HasSubstr("p.yaml:2:16: sweep.batch: a single value; expected a list"));
  EXPECT_THAT(error("{batch: [[3]]}"), HasSubstr("sweep.batch.0: a list; expected a text"));
  EXPECT_THAT(std::string(ParsePlan("name: p\ncell: {number: 3}", "p.yaml").status().message()),
              HasSubstr("p.yaml:2:1: cell: unknown field"));
}

}  // namespace
}  // namespace trunkload

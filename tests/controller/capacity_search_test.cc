#include "controller/capacity_search.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <random>

#include "controller/plan/plan_loader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;

v1::SearchLoad Search(double from, double precision = 0.02) {
  v1::SearchLoad search;
  search.set_objective("p99(response) < 200ms");
  search.set_from(from);
  search.set_precision(precision);
  search.mutable_step()->set_seconds(10);
  return search;
}

// Poisson arrivals at a server with so many workers that each take so long: whether 99 % of them were
// answered in 200 ms.
bool Holds(double rate, int workers, double service_s, double seconds, std::mt19937_64& random) {
  std::exponential_distribution<double> drawn(rate);
  const auto gap = [&](std::mt19937_64& from) { return workers < 16 ? 1 / rate : drawn(from); };
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
  for (int i = 0; i < workers; ++i) free_at.push(0);
  std::vector<double> responses;
  for (double due = gap(random); due < seconds; due += gap(random)) {
    const double begins = std::max(due, free_at.top());
    free_at.pop();
    free_at.push(begins + service_s);
    responses.push_back(begins + service_s - due);
  }
  std::sort(responses.begin(), responses.end());
  return responses[responses.size() * 99 / 100] < 0.2;
}

TEST(CapacitySearchTest, FindsAKnownCapacityWithin5Percent) {
  std::mt19937_64 random(1);
  for (const int workers : {1, 4, 16, 64}) {
    for (const double service_s : {0.002, 0.01}) {
      const double capacity = workers / service_s;
      for (const double from : {capacity / 100, capacity * 0.7, capacity * 20}) {
        CapacitySearch search(Search(from));
        int steps = 0;
        while (const std::optional<double> rate = search.NextRate()) {
          ASSERT_LT(++steps, kMostSearchSteps);
          search.Add(Holds(*rate, workers, service_s, absl::ToDoubleSeconds(search.StepAt(*rate)), random));
        }
        EXPECT_NEAR(search.holds() / capacity, 1, 0.05)
            << workers << " workers of " << service_s << " s from " << from;
        EXPECT_GT(search.fails(), search.holds());
        EXPECT_LE(search.fails() - search.holds(), 0.02 * search.fails());
      }
    }
  }
}

TEST(CapacitySearchTest, TheWayThere) {
  CapacitySearch search(Search(100, 0.1));
  std::vector<double> rates;
  while (const std::optional<double> rate = search.NextRate()) {
    rates.push_back(*rate);
    search.Add(*rate <= 650);
  }
  EXPECT_THAT(rates, testing::ElementsAre(100, 200, 400, 800, 600, 700, 650));
  EXPECT_EQ(search.holds(), 650);
  EXPECT_EQ(search.fails(), 700);
}

TEST(CapacitySearchTest, WhatNeverHoldsOrAlwaysDoesEnds) {
  CapacitySearch never(Search(100));
  CapacitySearch always(Search(100));
  for (int i = 0; i < 100 && never.NextRate(); ++i) never.Add(false);
  for (int i = 0; i < 100 && always.NextRate(); ++i) always.Add(true);
  EXPECT_FALSE(never.NextRate() || always.NextRate());
  EXPECT_EQ(never.holds(), 0);
  EXPECT_EQ(always.fails(), 0);
}

TEST(CapacitySearchTest, AStepIsAsLongAsItsPercentileNeeds) {
  EXPECT_EQ(CapacitySearch(Search(100)).StepAt(1000), absl::Seconds(10));
  EXPECT_EQ(CapacitySearch(Search(100)).StepAt(50), absl::Seconds(40));
  v1::SearchLoad search = Search(100);
  search.set_objective("p99.9(response) < 1s");
  EXPECT_EQ(CapacitySearch(search).StepAt(1000), absl::Seconds(20));
  search.set_objective("error_rate < 1%");
  EXPECT_EQ(CapacitySearch(search).StepAt(1), absl::Seconds(10));
}

std::string ErrorOf(const std::string& phase) {
  return std::string(ParsePlan("name: p\nscripts: [{builtin: insert-single}]\nphases:\n- " + phase, "p.yaml")
                         .status()
                         .message());
}

TEST(CapacitySearchTest, APlanWithASearchIsChecked) {
  EXPECT_EQ(ErrorOf("{name: c, load: {search: {objective: p99(response) < 20ms}}}"), "");
  EXPECT_THAT(ErrorOf("{name: c, load: {search: {}}}"), HasSubstr("load.search.objective: missing"));
  EXPECT_THAT(ErrorOf("{name: c, load: {search: {objective: fast}}}"),
              HasSubstr("phases.0.load.search.objective: "));
  EXPECT_THAT(ErrorOf("{name: c, load: {search: {objective: mean(response) < 1s in c}}}"),
              HasSubstr("names a phase"));
  EXPECT_THAT(ErrorOf("{name: c, duration: 1s, load: {search: {objective: mean(response) < 1s}}}"),
              HasSubstr("phases.0.duration: a search takes as long as it needs"));
  EXPECT_THAT(ErrorOf("{name: c, record: false, load: {search: {objective: mean(response) < 1s}}}"),
              HasSubstr("a search is no warm-up"));
}

TEST(CapacitySearchTest, StepsTakeTheSearchsPlace) {
  const auto plan = ParsePlan(
      "{name: p, scripts: [{builtin: insert-single}], phases: [{name: a, duration: 1s, load: {closed: "
      "{clients: 1}}},"
      " {name: c, latency_limit: 1s, load: {search: {objective: p99(response) < 20ms, from: 500/s}}},"
      " {name: b, duration: 1s, load: {closed: {clients: 1}}}]}",
      "p.yaml");
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<SearchPhases> searches;
  const v1::Plan expanded = ExpandSearches(*plan, searches);
  ASSERT_EQ(expanded.phases_size(), 2 + kMostSearchSteps);
  ASSERT_EQ(searches.size(), 1);
  EXPECT_EQ(searches[0].first, 1);
  EXPECT_EQ(expanded.phases(1).name(), "c step 1");
  EXPECT_EQ(expanded.phases(1).load().open().rate(), 500);
  EXPECT_EQ(expanded.phases(1).latency_limit().seconds(), 1);
  EXPECT_EQ(expanded.phases(1 + kMostSearchSteps).name(), "b");
}

}  // namespace
}  // namespace trunkload

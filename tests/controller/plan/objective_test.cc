#include "controller/plan/objective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trunkload {
namespace {

using ::testing::HasSubstr;

Histogram Of(const std::vector<int64_t>& millis) {
  Histogram histogram;
  for (const int64_t value : millis) histogram.Record(value * 1'000'000);
  return histogram;
}

class ObjectiveTest : public ::testing::Test {
 protected:
  PhaseMeasure Measure(const std::string& name, const Histogram& response) {
    return {.name = name,
            .response = response,
            .service = service_,
            .pool_wait = pool_wait_,
            .send_lag = send_lag_,
            .failed = failed_,
            .error_rate = 0.001,
            .throughput_per_s = 1000,
            .rows_per_s = 2500};
  }

  v1::ObjectiveResult Evaluate(const std::string& text, const std::vector<PhaseMeasure>& phases) {
    const absl::StatusOr<Objective> objective = Objective::Parse(text);
    EXPECT_TRUE(objective.ok()) << objective.status();
    return objective->Evaluate(phases);
  }

  const Histogram service_ = Of({2});
  const Histogram pool_wait_ = Of({3});
  const Histogram send_lag_ = Of({4});
  const Histogram failed_;
  const Histogram fast_ = Of({10, 20, 30});
  const Histogram slow_ = Of({10, 40, 100});
  const Histogram nothing_;
};

TEST_F(ObjectiveTest, JudgesEveryMeasureAgainstItsOwnUnit) {
  const std::vector<PhaseMeasure> phases = {Measure("closed", fast_)};
  const struct {
    std::string text;
    bool met;
    double value;
  } cases[] = {
      {"max(response) < 31ms", true, 30},
      {"max(response) < 30ms", false, 30},
      {"max(response)<=30ms", true, 30},
      {"max(response) <= 0.03s", true, 0.03},
      {"max(response) > 30000us", false, 30000},
      {"max(response) >= 30000us", true, 30000},
      {"mean(response) < 1m", true, 0.02 / 60},
      {"p100(response) < 1h", true, 0.03 / 3600},
      {"max(service) < 3ms", true, 2},
      {"max(pool_wait) < 3ms", false, 3},
      {"max( send_lag ) < 4000001ns", true, 4e6},
      {"error_rate < 0.2%", true, 0.1},
      {"error_rate<0.05%", false, 0.1},
      {"throughput > 999/s", true, 1000},
      {"throughput > 70000/min", false, 60000},
      {"rows >= 9000000/h", true, 9e6},
      {"  rows > 2000/s in closed  ", true, 2500},
  };
  for (const auto& expected : cases) {
    const v1::ObjectiveResult result = Evaluate(expected.text, phases);
    EXPECT_EQ(result.text(), expected.text);
    EXPECT_EQ(result.met(), expected.met) << expected.text;
    EXPECT_NEAR(result.value(), expected.value, 1e-9 * expected.value) << expected.text;
    EXPECT_EQ(result.phase(), "closed") << expected.text;
  }
}

TEST_F(ObjectiveTest, TakesPercentilesWithDecimals) {
  Histogram response;
  for (int i = 1; i <= 1000; ++i) response.Record(i * 1000);
  const std::vector<PhaseMeasure> phases = {Measure("open", response)};
  EXPECT_NEAR(Evaluate("p99.9(response) < 1ms", phases).value(), 0.999, 0.0011);
  EXPECT_NEAR(Evaluate("p50(response) < 1ms", phases).value(), 0.5, 0.0011);
  EXPECT_NEAR(Evaluate("p0.1(response) < 1ms", phases).value(), 0.001, 0.0011);
}

TEST_F(ObjectiveTest, ReportsTheWorstPhase) {
  const std::vector<PhaseMeasure> phases = {Measure("a", fast_), Measure("b", slow_), Measure("c", fast_)};
  v1::ObjectiveResult result = Evaluate("max(response) < 50ms", phases);
  EXPECT_FALSE(result.met());
  EXPECT_EQ(result.phase(), "b");
  EXPECT_EQ(result.value(), 100);
  result = Evaluate("max(response) > 50ms", phases);
  EXPECT_FALSE(result.met());
  EXPECT_EQ(result.phase(), "a");
  EXPECT_EQ(result.value(), 30);
  EXPECT_TRUE(Evaluate("max(response) < 50ms in a", phases).met());
  EXPECT_FALSE(Evaluate("max(response) < 50ms in b", phases).met());
}

TEST_F(ObjectiveTest, NothingMeasuredIsNotFast) {
  const v1::ObjectiveResult result =
      Evaluate("p99(response) < 50ms", {Measure("a", fast_), Measure("b", nothing_)});
  EXPECT_FALSE(result.met());
  EXPECT_EQ(result.phase(), "b");
  EXPECT_FALSE(Evaluate("p99(response) < 50ms", {}).met());
  EXPECT_FALSE(Evaluate("error_rate < 1%", {}).met());
  EXPECT_FALSE(Evaluate("p99(response) < 50ms in later", {Measure("a", fast_)}).met());
  EXPECT_TRUE(Evaluate("p99(failed) < 50ms", {Measure("a", fast_)}).met()) << "no failure was slow";
}

TEST(ObjectiveParseTest, MistakesNameTheCharacter) {
  const struct {
    std::string text;
    std::string error;
  } cases[] = {
      {"", "at character 1: expected p99(...)"},
      {"q99(response) < 5ms",
       "at character 1: expected p99(...), mean(...), max(...), error_rate, throughput or rows"},
      {"troughput > 5/s",
       "at character 1: expected p99(...), mean(...), max(...), error_rate, throughput or rows; did "
       "you mean 'throughput'?"},
      {"p101(response) < 5ms", "at character 1: a percentile is p0 to p100"},
      {"p9x(response) < 5ms", "at character 1: a percentile is p0 to p100"},
      {"p99 response < 5ms", "at character 5: expected '('"},
      {"p99(respnse) < 5ms",
       "at character 5: expected one of response, service, pool_wait, send_lag, failed; did you "
       "mean 'response'?"},
      {"p99(response < 5ms", "at character 14: expected ')'"},
      {"p99(response) = 5ms", "at character 15: expected <, <=, > or >="},
      {"p99(response) < ms", "at character 17: expected a duration such as 50ms"},
      {"p99(response) < -5ms", "at character 17: expected a duration"},
      {"p99(response) < 5",
       "at character 18: expected a duration such as 50ms, with one of the units ns, us, ms, s, m, h"},
      {"p99(response) < 5%", "at character 18: expected a duration"},
      {"p99(response) < 5 ms", "at character 18: expected a duration"},
      {"error_rate < 0.1", "at character 17: expected a percentage such as 0.1%"},
      {"throughput > 5ms", "at character 15: expected a rate such as 1000/s"},
      {"rows > 5/s on open", "at character 12: expected the end, or 'in' and the name of a phase"},
      {"rows > 5/s in", "at character 14: expected the name of a phase"},
      {"rows > 5/s in open again", "at character 20: expected the end"},
      {"rows > 1.2.3/s", "at character 8: expected a rate"},
  };
  for (const auto& expected : cases) {
    const absl::StatusOr<Objective> objective = Objective::Parse(expected.text);
    ASSERT_FALSE(objective.ok()) << expected.text;
    EXPECT_EQ(objective.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(objective.status().message()), HasSubstr(expected.error)) << expected.text;
  }
}

}  // namespace
}  // namespace trunkload

#include "controller/report/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "controller/plan/plan_check.h"
#include "controller/plan/plan_loader.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

TEST(JsonTest, EveryNumberIsANumber) {
  v1::RunResult result;
  v1::PhaseResult& phase = *result.add_phases();
  phase.set_transactions(std::numeric_limits<uint64_t>::max());
  phase.set_duration_s(8);
  phase.set_offered_per_s(0.1);
  phase.set_throughput_per_s(1.0 / 3);
  (*phase.mutable_errors())["40P01"] = 2;
  (*phase.mutable_errors())["23505"] = 3;
  (*phase.mutable_error_messages())["23505"] = "a \"b\"";
  phase.mutable_latency_us()->mutable_response()->set_p99_9(1234.5);
  const std::string text = ToJson(result);
  EXPECT_THAT(text, HasSubstr("\"transactions\": 18446744073709551615"));
  EXPECT_THAT(text, HasSubstr("\"offered_per_s\": 0.1,"));
  EXPECT_THAT(text, HasSubstr("\"throughput_per_s\": 0.3333333333333333,"));
  EXPECT_LT(text.find("23505"), text.find("40P01")) << "maps are sorted";
  const json parsed = json::parse(text);
  EXPECT_EQ(parsed["phases"][0]["throughput_per_s"].get<double>(), 1.0 / 3);
  EXPECT_EQ(parsed["phases"][0]["errors"], json::parse(R"({"23505": 3, "40P01": 2})"));
  EXPECT_EQ(parsed["phases"][0]["error_messages"]["23505"], "a \"b\"");
  EXPECT_EQ(parsed["phases"][0]["latency_us"]["response"]["p99_9"], 1234.5);
}

TEST(JsonTest, PrintsDefaultsAndLeavesOutWhatIsAbsent) {
  const json phase = json::parse(ToJson(v1::PhaseResult()));
  EXPECT_EQ(phase["rows"], 0);
  EXPECT_EQ(phase["duration_s"], 0.0);
  EXPECT_EQ(phase["recorded"], false);
  EXPECT_EQ(phase["name"], "");
  EXPECT_EQ(phase["errors"], json::object());
  EXPECT_EQ(phase["scripts"], json::array());
  EXPECT_FALSE(phase.contains("latency_us"));
  const json plan_phase = json::parse(ToJson(v1::Phase()));
  EXPECT_FALSE(plan_phase.contains("transactions"));
  EXPECT_FALSE(plan_phase.contains("load"));
}

TEST(JsonTest, WritesAsPlansDo) {
  v1::Pool pool;
  pool.set_mode(v1::POOL_MODE_RECONNECT);
  pool.mutable_acquire_timeout()->set_seconds(5);
  pool.mutable_connect_timeout()->set_nanos(250'000);
  const json parsed = json::parse(ToJson(pool));
  EXPECT_EQ(parsed["mode"], "reconnect");
  EXPECT_EQ(parsed["acquire_timeout"], "5s");
  EXPECT_EQ(parsed["connect_timeout"], "250us");
}

TEST(JsonTest, IsJsonWhateverItIsGiven) {
  v1::PhaseResult phase;
  phase.set_duration_s(std::nan(""));
  phase.set_rows_per_s(std::numeric_limits<double>::infinity());
  phase.set_name("quote \" line\nend \x01");
  json parsed = json::parse(ToJson(phase));
  EXPECT_TRUE(parsed["duration_s"].is_null());
  EXPECT_TRUE(parsed["rows_per_s"].is_null());
  EXPECT_EQ(parsed["name"], "quote \" line\nend \x01");
  phase.set_name("\xff");
  parsed = json::parse(ToJson(phase));
  EXPECT_EQ(parsed["name"], "\xef\xbf\xbd");
}

void ExpectLoadsAgain(const v1::Plan& plan) {
  v1::RunResult result;
  *result.mutable_run()->mutable_plan() = plan;
  const std::string cut_out = json::parse(ToJson(result))["run"]["plan"].dump(1);
  const absl::StatusOr<v1::Plan> again = ParsePlan(cut_out, "result.json");
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << cut_out;
  EXPECT_EQ(again->DebugString(), plan.DebugString());
}

TEST(JsonTest, ThePlanOfAResultIsAPlan) {
  const absl::StatusOr<v1::Plan> quickstart = LoadPlan(TRUNKLOAD_SOURCE_DIR "/plans/insert-throughput.yaml");
  ASSERT_TRUE(quickstart.ok()) << quickstart.status();
  ExpectLoadsAgain(*quickstart);

  const absl::StatusOr<v1::Plan> odd = ParsePlan(R"(name: odd
target: {conninfo: "password='a \" \\\\ b' user='ö: # x'", service: s}
seed: 18446744073709551615
scripts:
- {builtin: insert-copy, keys: {distribution: zipfian, range: 12345678901, exponent: 1.2345678901234567}}
- {builtin: tpcb-like, variables: {scale: 0x10, "a": "#\t\"'\\ ö", b: "", c: "\x7f\x01"}}
- {text: "SELECT 1; -- #\t\"'\\ ö\n\n", name: "- x: y", max_tries: 0, per_command: true}
variables: {"true": yes, "null": "~", e: 1e400}
phases:
- {name: a, transactions: 7, load: {closed: {clients: 1, think_time: 1h2m3s4ms5us6ns}}}
- {name: b, load: {open: {stages: [{duration: 1.5ms, ramp_to: 100000000/s}, {duration: 90s, rate: 1/h}]}}}
- {name: c, duration: 8760s, load: {open: {rate: 0.1/min}}, drain_timeout: 0s}
)",
                                                 "p.yaml");
  ASSERT_TRUE(odd.ok()) << odd.status();
  ExpectLoadsAgain(*odd);
  ExpectLoadsAgain(Redacted(*odd));
}

}  // namespace
}  // namespace trunkload

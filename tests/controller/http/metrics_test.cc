#include "controller/http/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace trunkload {
namespace {

using ::testing::HasSubstr;

ControllerStatus RunningStatus() {
  ControllerStatus status{
      .agents = 3, .counts = {.offered = 50, .transactions = 40, .rows = 80, .errors = 7, .dropped = 3}};
  status.run.set_run_id("20260102-030405-1a2b");
  status.progress.set_stage(v1::Progress::STAGE_RUNNING);
  status.progress.set_agents_wanted(4);
  v1::SeriesPoint& newest = status.newest.emplace();
  newest.set_transactions(1200);
  newest.set_response_p50_us(1500);
  newest.set_response_p99_us(20'000);
  newest.set_response_max_us(2'000'000);
  status.runs_ended["objective missed"] = 2;
  return status;
}

TEST(MetricsTest, HasWhatIsUnderWay) {
  const std::string text = MetricsText(RunningStatus());
  for (const char* line :
       {"\ntrunkload_agents 3", "\ntrunkload_run_under_way 1", "\ntrunkload_run_stage{stage=\"running\"} 1",
        "\ntrunkload_run_stage{stage=\"draining\"} 0", "\ntrunkload_run_agents_wanted 4",
        "\ntrunkload_runs_total{outcome=\"objective_missed\"} 2",
        "\ntrunkload_runs_total{outcome=\"valid\"} 0", "\ntrunkload_transactions_offered_total 50",
        "\ntrunkload_transactions_total 40", "\ntrunkload_transaction_errors_total 7",
        "\ntrunkload_transactions_dropped_total 3", "\ntrunkload_rows_total 80",
        "\ntrunkload_throughput_transactions_per_second 1200",
        "\ntrunkload_response_time_seconds{quantile=\"0.5\"} 0.0015",
        "\ntrunkload_response_time_seconds{quantile=\"0.99\"} 0.02",
        "\ntrunkload_response_time_seconds{quantile=\"1\"} 2"}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat(line, "\n")));
  }
}

// Names of runs, plans and agents are no labels: the number of series never grows.
TEST(MetricsTest, HasAsManySeriesWhateverThereIs) {
  const auto series = [](const ControllerStatus& status) {
    size_t count = 0;
    for (absl::string_view line : absl::StrSplit(MetricsText(status), '\n', absl::SkipEmpty()))
      count += line[0] == '#' ? 0 : 1;
    return count;
  };
  EXPECT_EQ(series(ControllerStatus()), series(RunningStatus()));
  ControllerStatus odd = RunningStatus();
  odd.runs_ended["something else"] = 1;
  EXPECT_EQ(series(odd), series(RunningStatus()));
}

TEST(MetricsTest, EveryFamilyHasItsHelpAndType) {
  std::string name;
  for (absl::string_view line : absl::StrSplit(MetricsText(RunningStatus()), '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (words[0] == "#" && words[1] == "HELP") {
      name = words[2];
      ASSERT_EQ(words.size(), 4u) << line;
    } else if (words[0] == "#") {
      EXPECT_EQ(words[2], name);
    } else {
      EXPECT_THAT(std::string(line), testing::StartsWith(name)) << line;
    }
  }
}

}  // namespace
}  // namespace trunkload

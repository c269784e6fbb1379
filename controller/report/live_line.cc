#include "controller/report/live_line.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

std::string Counted(uint64_t count, const std::string& one, const std::string& many) {
  return absl::StrCat(CountText(count), " ", count == 1 ? one : many);
}

std::string StageText(const v1::Progress& progress) {
  switch (progress.stage()) {
    case v1::Progress::STAGE_WAITING_FOR_AGENTS:
      return absl::StrCat("waiting for agents: ", progress.agents(), " of ", progress.agents_wanted());
    case v1::Progress::STAGE_SETTING_UP:
      return progress.step().empty() ? "setting up tables"
                                     : absl::StrCat("setting up tables: ", progress.step());
    case v1::Progress::STAGE_CONNECTING:
      return "opening connections";
    case v1::Progress::STAGE_RUNNING:
      return progress.phase().empty() ? "between phases" : absl::StrCat("running ", progress.phase());
    case v1::Progress::STAGE_DRAINING:
      return absl::StrCat("draining ", progress.phase());
    case v1::Progress::STAGE_READING:
      return "reading the database";
    case v1::Progress::STAGE_CHECKING:
      return "settling checks";
    default:
      return "starting";
  }
}

std::string AgentsText(const v1::Progress& progress) {
  std::string agents = Counted(progress.agents(), "agent", "agents");
  if (progress.agents() < progress.agents_wanted())
    absl::StrAppend(&agents, " of ", progress.agents_wanted());
  return agents;
}

bool UnderLoad(const v1::Progress& progress) {
  return !progress.phase().empty() && (progress.stage() == v1::Progress::STAGE_RUNNING ||
                                       progress.stage() == v1::Progress::STAGE_DRAINING);
}

// How far loading rows has come, and how long the rest takes at the same rate.
std::vector<std::string> LoadParts(const v1::Progress& progress) {
  const auto loaded = static_cast<double>(progress.rows_loaded());
  const auto all = static_cast<double>(progress.rows_to_load());
  std::vector<std::string> parts = {absl::StrFormat("%s of %s rows (%.0f%%)",
                                                    CountText(progress.rows_loaded()),
                                                    CountText(progress.rows_to_load()), loaded / all * 100)};
  if (loaded > 0 && progress.elapsed_s() > 0) {
    parts.push_back(absl::StrCat(RateText(loaded / progress.elapsed_s()), " rows/s"));
    parts.push_back(absl::StrFormat("%.0f s left", (all - loaded) * progress.elapsed_s() / loaded));
  }
  return parts;
}

}  // namespace

std::string LiveLine(const v1::Progress& progress, size_t columns) {
  std::vector<std::string> parts = {StageText(progress)};
  if (UnderLoad(progress)) {
    std::string& time = parts.front();
    if (progress.duration_s() > 0) {
      absl::StrAppendFormat(&time, " %.0f/%.0f s", progress.elapsed_s(), progress.duration_s());
    } else {
      absl::StrAppendFormat(&time, " %.0f s", progress.elapsed_s());
    }
    parts.push_back(absl::StrCat(RateText(progress.throughput_per_s()), "/s"));
    parts.push_back(absl::StrCat("p99 ", LatencyText(progress.response_p99_us())));
    parts.push_back(Counted(progress.errors(), "error", "errors"));
    if (progress.dropped() > 0) parts.push_back(absl::StrCat(CountText(progress.dropped()), " dropped"));
    if (progress.totals().skipped() > 0)
      parts.push_back(absl::StrCat(CountText(progress.totals().skipped()), " skipped"));
  }
  if (progress.rows_to_load() > 0) {
    for (std::string& part : LoadParts(progress)) parts.push_back(std::move(part));
  }
  if (progress.stage() != v1::Progress::STAGE_WAITING_FOR_AGENTS) {
    parts.push_back(AgentsText(progress));
  }
  return absl::StrJoin(parts, "  |  ").substr(0, columns);
}

std::string StageLine(const v1::Progress& progress) {
  std::string line = StageText(progress);
  const bool missing = UnderLoad(progress) && progress.agents() < progress.agents_wanted();
  if (missing) absl::StrAppend(&line, "  |  ", AgentsText(progress));
  return line;
}

}  // namespace trunkload

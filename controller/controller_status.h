#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "controller/load_counts.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// A controller at one moment, for a page or a scrape.
struct ControllerStatus {
  // That are connected.
  size_t agents = 0;
  // The run under way; without an id there is none.
  v1::RunSummary run;
  v1::Progress progress;
  // Of the phase under way: the newest second that is complete.
  std::optional<v1::SeriesPoint> newest;
  // Of all runs since the controller was started.
  LoadCounts counts;
  // How many have ended since then, by RunOutcome.
  std::map<std::string, uint64_t> runs_ended;
};

}  // namespace trunkload

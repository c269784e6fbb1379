#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "controller/citus/json_answer.h"
#include "controller/citus/observation.h"
#include "tests/fuzz/check.h"

// Lines that are each something the observer came to know, as a server's answers are written: whatever they
// say, figures can be shown.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  trunkload::Observation observation;
  for (int lines = 0; !text.empty() && lines < 100; ++lines) {
    const size_t end = text.find('\n');
    const absl::StatusOr<trunkload::v1::Observed> observed =
        trunkload::ParseAnswer<trunkload::v1::Observed>(std::string(text.substr(0, end)));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (!observed.ok()) continue;
    // Of these, time is the controller's own.
    if (observed->phase() > 2 || !(observed->second() >= 0 && observed->second() < 1e9)) continue;
    if (lines % 7 == 3) observation.Ask(lines % 2 == 0);
    observation.Add(*observed);
  }
  trunkload::v1::Plan plan;
  trunkload::v1::RunResult result;
  for (const char* name : {"one", "two"}) {
    plan.add_phases()->set_name(name);
    result.add_phases()->set_name(name);
    result.mutable_phases()->rbegin()->set_duration_s(10);
  }
  observation.AddTo(plan, {}, result);
  for (const trunkload::v1::PhaseResult& phase : result.phases()) {
    for (const trunkload::v1::NodeWork& node : phase.nodes()) {
      FUZZ_CHECK(std::isfinite(node.committed_per_s()) && node.committed_per_s() >= 0,
                 node.ShortDebugString());
      FUZZ_CHECK(node.share() >= 0 && node.share() <= 1, node.ShortDebugString());
    }
  }
  return 0;
}

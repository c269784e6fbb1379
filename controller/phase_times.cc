#include "controller/phase_times.h"

#include "common/duration.h"

namespace trunkload {

absl::Duration PlannedDuration(const v1::Phase& phase) {
  if (phase.has_duration()) return FromProto(phase.duration());
  const v1::OpenLoad& open = phase.load().open();
  if (!phase.has_transactions()) {
    absl::Duration stages;
    for (const v1::Stage& stage : open.stages()) stages += FromProto(stage.duration());
    return stages;
  }
  if (!open.has_rate()) return absl::InfiniteDuration();
  return absl::Seconds(static_cast<double>(phase.transactions()) / open.rate());
}

}  // namespace trunkload

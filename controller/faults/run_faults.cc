#include "controller/faults/run_faults.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/duration.h"
#include "controller/faults/recovery.h"
#include "controller/plan/fault_text.h"

namespace trunkload {
namespace {

// To be on disk in time.
constexpr int64_t kAheadNanos = 2'000'000'000;

double Seconds(int64_t nanos) {
  return static_cast<double>(nanos) / 1e9;
}

// "kill worker 1 at 5.0 s of measured".
std::string WhatAndWhen(const v1::FaultResult& fault) {
  return absl::StrFormat("%s at %.1f s of %s", fault.what(), fault.began_s(), fault.phase());
}

}  // namespace

RunFaults::RunFaults(const v1::Plan& plan) {
  for (int i = 0; i < plan.faults_size(); ++i) {
    const v1::Fault& fault = plan.faults(i);
    const auto phase = std::find_if(plan.phases().begin(), plan.phases().end(),
                                    [&fault](const v1::Phase& one) { return one.name() == fault.phase(); });
    Entry entry{.fault = i,
                .phase = static_cast<uint32_t>(phase - plan.phases().begin()),
                .at_ns = absl::ToInt64Nanoseconds(FromProto(fault.at())),
                .result = {}};
    entry.result.set_phase(fault.phase());
    entry.result.set_what(FaultText(fault));
    entry.result.set_began_s(Seconds(entry.at_ns));
    entries_.push_back(std::move(entry));
  }
  std::stable_sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.phase, a.at_ns) < std::pair(b.phase, b.at_ns);
  });
}

bool RunFaults::Announce(const Phase& phase, int64_t now_ns) {
  const size_t before = announced_;
  while (announced_ < entries_.size() && entries_[announced_].phase == phase.number &&
         phase.start_ns + entries_[announced_].at_ns - kAheadNanos <= now_ns) {
    ++announced_;
  }
  return announced_ > before;
}

std::optional<int> RunFaults::TakeDue(const Phase& phase, int64_t now_ns) {
  if (next_ >= std::min(announced_, saved_)) return std::nullopt;
  Entry& entry = entries_[next_];
  if (entry.phase != phase.number || phase.start_ns + entry.at_ns > now_ns) return std::nullopt;
  ++next_;
  entry.start_ns = phase.start_ns;
  entry.under_way = true;
  entry.result.set_began_s(Seconds(now_ns - entry.start_ns));
  return entry.fault;
}

int64_t RunFaults::NextNanos(const Phase& phase) const {
  int64_t next_ns = std::numeric_limits<int64_t>::max();
  if (announced_ < entries_.size() && entries_[announced_].phase == phase.number)
    next_ns = phase.start_ns + entries_[announced_].at_ns - kAheadNanos;
  if (next_ < std::min(announced_, saved_) && entries_[next_].phase == phase.number)
    next_ns = std::min(next_ns, phase.start_ns + entries_[next_].at_ns);
  return next_ns;
}

void RunFaults::Skip(uint32_t phase, const std::string& why) {
  for (; next_ < entries_.size() && entries_[next_].phase < phase; ++next_) {
    entries_[next_].result.set_failure(absl::StrCat("it was not carried out: ", why));
  }
  announced_ = std::max(announced_, next_);
}

RunFaults::Entry* RunFaults::Find(int fault) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [fault](const Entry& entry) {
    return entry.fault == fault && entry.under_way;
  });
  return found == entries_.end() ? nullptr : &*found;
}

void RunFaults::OnBegan(int fault, int64_t now_ns) {
  Entry* const entry = Find(fault);
  if (entry == nullptr) return;
  entry->carried_out = true;
  entry->result.set_began_s(Seconds(now_ns - entry->start_ns));
}

void RunFaults::OnEnded(int fault, int64_t now_ns, const std::string& failure) {
  Entry* const entry = Find(fault);
  if (entry == nullptr) return;
  entry->under_way = false;
  if (failure.empty()) {
    entry->result.set_ended_s(Seconds(now_ns - entry->start_ns));
  } else {
    entry->result.set_failure(failure);
  }
}

bool RunFaults::under_way() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.under_way; });
}

std::vector<v1::FaultResult> RunFaults::results() const {
  std::vector<v1::FaultResult> results;
  for (size_t i = 0; i < announced_; ++i) results.push_back(entries_[i].result);
  return results;
}

absl::Status RunFaults::Restore(const google::protobuf::RepeatedPtrField<v1::FaultResult>& results) {
  if (static_cast<size_t>(results.size()) > entries_.size())
    return absl::DataLossError("faults that its plan does not have");
  for (const v1::FaultResult& result : results) {
    Entry& entry = entries_[next_++];
    if (result.what() != entry.result.what())
      return absl::DataLossError("faults that its plan does not have");
    entry.result = result;
    // Of one that has ended nothing more is to be known.
    entry.carried_out = result.failure().empty();
    if (result.has_ended_s() || !result.failure().empty()) continue;
    entry.result.set_failure(
        "the controller was killed at that time: whether it was carried out, and until when, is not known");
  }
  announced_ = saved_ = next_;
  return absl::OkStatus();
}

void RunFaults::AddTo(v1::RunResult& result) const {
  std::vector<std::string> held;
  for (const Entry& entry : entries_) {
    v1::FaultResult& added = *result.add_faults();
    added = entry.result;
    if (entry.carried_out) {
      held.push_back(WhatAndWhen(added));
      for (const v1::PhaseResult& phase : result.phases()) {
        if (phase.name() != added.phase()) continue;
        // duration_s may hold the drain.
        const double load_s = phase.offered_per_s() > 0
                                  ? static_cast<double>(phase.offered()) / phase.offered_per_s()
                                  : phase.duration_s();
        MeasureRecovery(phase.series(), load_s, added);
      }
    }
    if (!added.failure().empty()) {
      result.mutable_verdict()->add_notes(
          absl::StrCat("fault on purpose, ", WhatAndWhen(added), ": ", added.failure()));
    }
  }
  if (!held.empty()) {
    result.mutable_verdict()->add_notes(
        absl::StrCat("figures hold what was broken on purpose: ", absl::StrJoin(held, "; ")));
  }
}

}  // namespace trunkload

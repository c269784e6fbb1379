#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// The faults of a run: when each is due, and what became of it. They are carried out in the order of their
// times, and each only once it was announced and that is on disk, so that no other controller does it again.
// A fault is known by its index in the plan. Not thread-safe.
class RunFaults {
 public:
  // `plan`: as it is run.
  explicit RunFaults(const v1::Plan& plan);

  // A phase that is under way, or about to begin.
  struct Phase {
    uint32_t number;
    int64_t start_ns;
  };
  // Announces those that are due soon; false: there are none.
  bool Announce(const Phase& phase, int64_t now_ns);
  // So many are announced; of those so many are on disk.
  size_t announced() const { return announced_; }
  void SetSaved(size_t announced) { saved_ = announced; }
  // The next one that is due now: it is under way then, until OnEnded.
  std::optional<int> TakeDue(const Phase& phase, int64_t now_ns);
  // When the two above have something to do next, as far as is known; INT64_MAX: in this phase never.
  int64_t NextNanos(const Phase& phase) const;
  // All of phases before this one that were not begun are not carried out any more.
  void Skip(uint32_t phase, const std::string& why);

  void OnBegan(int fault, int64_t now_ns);
  // `failure`: why it could not be done, or undone; empty: it was.
  void OnEnded(int fault, int64_t now_ns, const std::string& failure);
  bool under_way() const;

  // Those that are announced, in order, to be written down.
  std::vector<v1::FaultResult> results() const;
  // DATA_LOSS where they are not of this plan.
  absl::Status Restore(const google::protobuf::RepeatedPtrField<v1::FaultResult>& results);
  // Into a result that holds its phases: each with what it did to the load, and notes for the verdict.
  void AddTo(v1::RunResult& result) const;

 private:
  struct Entry {
    int fault;
    uint32_t phase;
    int64_t at_ns;  // into the phase
    v1::FaultResult result;
    int64_t start_ns = 0;  // of the phase
    bool under_way = false;
    bool carried_out = false;
  };
  Entry* Find(int fault);

  // By time.
  std::vector<Entry> entries_;
  size_t announced_ = 0;
  size_t saved_ = 0;
  size_t next_ = 0;
};

}  // namespace trunkload

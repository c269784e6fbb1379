#include "controller/access/failure_limit.h"

#include <algorithm>

namespace trunkload {

bool FailureLimit::MayTry(absl::string_view address, int64_t now_ns) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ||
         found->second->forgiven_ns - now_ns <= (kMostFailures - 1) * kNanosPerFailure;
}

void FailureLimit::OnFailure(absl::string_view address, int64_t now_ns) {
  if (const auto found = by_address_.find(address); found != by_address_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
  } else {
    if (entries_.size() >= kMostAddresses) {
      by_address_.erase(entries_.back().address);
      entries_.pop_back();
    }
    entries_.push_front({std::string(address), now_ns});
    by_address_[entries_.front().address] = entries_.begin();
  }
  Entry& entry = entries_.front();
  entry.forgiven_ns = std::max(entry.forgiven_ns, now_ns) + kNanosPerFailure;
}

}  // namespace trunkload

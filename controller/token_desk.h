#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "controller/access/join_tokens.h"
#include "controller/store/token_store.h"
#include "controller/task_thread.h"

namespace trunkload {

// The join tokens of a controller: questions are answered from memory, changes are written down first, on a
// thread of its own. Thread-safe. Its line is as long as there are calls that wait for it.
class TokenDesk {
 public:
  // `store`: null where nothing is kept. The clock must outlive this.
  static absl::StatusOr<std::unique_ptr<TokenDesk>> Open(const Clock& clock,
                                                         std::unique_ptr<TokenStore> store);

  using Done = absl::AnyInvocable<void(const absl::Status&)>;
  using Created = absl::AnyInvocable<void(absl::StatusOr<JoinTokens::Made>)>;

  // Answers come on this object's thread.
  void Create(absl::Duration ttl, uint32_t agents, Created created);
  void Revoke(const std::string& id, Done done);
  // Whether the token lets the agent in; it is its agent from then on, also for a controller that is started
  // again.
  void Admit(const std::string& id, uint64_t instance, Done done);

  // See JoinTokens.
  std::vector<TokenRecord> List() const;
  absl::StatusOr<std::string> Identify(absl::string_view text) const;
  absl::Status CheckMember(const std::string& id, uint64_t instance) const;

 private:
  TokenDesk(const Clock& clock, std::unique_ptr<TokenStore> store, std::vector<TokenRecord> kept);
  absl::Time Now() const { return absl::FromUnixNanos(clock_.WallNanos()); }

  const Clock& clock_;
  // Of the thread alone; null: none.
  const std::unique_ptr<TokenStore> store_;
  mutable absl::Mutex mutex_;
  // Changed by the thread alone.
  JoinTokens tokens_ ABSL_GUARDED_BY(mutex_);
  // The last: what it was asked to do is done before anything else goes.
  TaskThread thread_;
};

}  // namespace trunkload

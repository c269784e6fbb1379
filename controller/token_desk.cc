#include "controller/token_desk.h"

#include <utility>

namespace trunkload {

absl::StatusOr<std::unique_ptr<TokenDesk>> TokenDesk::Open(const Clock& clock,
                                                           std::unique_ptr<TokenStore> store) {
  std::vector<TokenRecord> kept;
  if (store != nullptr) {
    absl::StatusOr<std::vector<TokenRecord>> loaded = store->Load();
    if (!loaded.ok()) return loaded.status();
    kept = *std::move(loaded);
  }
  return std::unique_ptr<TokenDesk>(new TokenDesk(clock, std::move(store), std::move(kept)));
}

TokenDesk::TokenDesk(const Clock& clock, std::unique_ptr<TokenStore> store, std::vector<TokenRecord> kept)
    : clock_(clock), store_(std::move(store)), tokens_(std::move(kept)) {}

void TokenDesk::Create(absl::Duration ttl, uint32_t agents, Created created) {
  thread_.Post([this, ttl, agents, created = std::move(created)]() mutable {
    JoinTokens::Made made;
    {
      absl::MutexLock lock(&mutex_);
      made = tokens_.Create(Now(), ttl, agents);
    }
    // Where that fails nobody has heard of it.
    const absl::Status status = store_ ? store_->Put(made.record) : absl::OkStatus();
    if (!status.ok()) return created(status);
    created(std::move(made));
  });
}

void TokenDesk::Revoke(const std::string& id, Done done) {
  thread_.Post([this, id, done = std::move(done)]() mutable {
    absl::StatusOr<TokenRecord> revoked;
    {
      // At once, whether or not it can be written down.
      absl::MutexLock lock(&mutex_);
      revoked = tokens_.Revoke(id, Now());
    }
    if (!revoked.ok()) return done(revoked.status());
    done(store_ ? store_->Put(*revoked) : absl::OkStatus());
  });
}

void TokenDesk::Admit(const std::string& id, uint64_t instance, Done done) {
  thread_.Post([this, id, instance, done = std::move(done)]() mutable {
    bool is_new = false;
    absl::Status status;
    {
      absl::MutexLock lock(&mutex_);
      status = tokens_.CheckAdmission(id, instance, Now());
      if (status.ok()) is_new = tokens_.Admit(id, instance);
    }
    if (is_new && store_) {
      status = store_->PutInstance(id, instance);
      if (!status.ok()) {
        absl::MutexLock lock(&mutex_);
        tokens_.TakeBack(id, instance);
      }
    }
    done(status);
  });
}

std::vector<TokenRecord> TokenDesk::List() const {
  absl::MutexLock lock(&mutex_);
  return tokens_.List();
}

absl::StatusOr<std::string> TokenDesk::Identify(absl::string_view text) const {
  absl::MutexLock lock(&mutex_);
  return tokens_.Identify(text);
}

absl::Status TokenDesk::CheckMember(const std::string& id, uint64_t instance) const {
  absl::MutexLock lock(&mutex_);
  return tokens_.CheckMember(id, instance);
}

}  // namespace trunkload

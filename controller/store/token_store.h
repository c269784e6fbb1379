#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/access/join_tokens.h"
#include "controller/store/sqlite.h"

namespace trunkload {

// Join tokens on disk, in the file of the RunStore, which has to be there. Errors are the RunStore's. Not
// thread-safe.
class TokenStore {
 public:
  // `path`: of the RunStore.
  static absl::StatusOr<std::unique_ptr<TokenStore>> Open(const std::string& path);

  absl::StatusOr<std::vector<TokenRecord>> Load() const;
  // Both are on disk on return. A token's instances are written one by one.
  absl::Status Put(const TokenRecord& token);
  absl::Status PutInstance(const std::string& id, uint64_t instance);

 private:
  explicit TokenStore(SqliteDatabase database) : database_(std::move(database)) {}

  SqliteDatabase database_;
};

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace trunkload {

// A join token as it is kept: without its secret.
struct TokenRecord {
  std::string id;
  std::string hash;  // of the secret
  absl::Time created;
  absl::Time expires;
  uint32_t agents = 1;  // how many it lets in; 0: any number
  std::optional<absl::Time> revoked;
  // Those it has let in, by their Hello.instance.
  std::set<uint64_t> instances;
};

// Which tokens there are, and which agents they have let in. An agent's process that was let in may come back
// for as long as the token is not revoked, so that a stream may break after it has expired. Touches neither
// disk nor clock. Not thread-safe.
class JoinTokens {
 public:
  // More agents than this no token lets in.
  static constexpr size_t kMostInstances = 100'000;

  explicit JoinTokens(std::vector<TokenRecord> kept = {});

  // The token's text, which nobody can tell again.
  struct Made {
    std::string text;
    TokenRecord record;
  };
  Made Create(absl::Time now, absl::Duration ttl, uint32_t agents);
  // Newest first.
  std::vector<TokenRecord> List() const;
  // NOT_FOUND where there is none.
  absl::StatusOr<TokenRecord> Revoke(const std::string& id, absl::Time now);

  // The id of the token with that text. UNAUTHENTICATED where it is none of ours, PERMISSION_DENIED where it
  // is revoked: a sentence.
  absl::StatusOr<std::string> Identify(absl::string_view text) const;
  // Whether it may let that agent in now, or did so before. PERMISSION_DENIED with a sentence.
  absl::Status CheckAdmission(const std::string& id, uint64_t instance, absl::Time now) const;
  // From now on it has let that agent in. false: it had before.
  bool Admit(const std::string& id, uint64_t instance);
  // An admission that could not be written down.
  void TakeBack(const std::string& id, uint64_t instance);
  // Whether it has let that agent in, and is not revoked. PERMISSION_DENIED with a sentence.
  absl::Status CheckMember(const std::string& id, uint64_t instance) const;

 private:
  absl::StatusOr<const TokenRecord*> Find(const std::string& id) const;

  std::map<std::string, TokenRecord> tokens_;
};

}  // namespace trunkload

#include "controller/access/join_tokens.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/tls/certificate.h"
#include "controller/access/join_token.h"

namespace trunkload {
namespace {

constexpr char kMakeAnother[] = "make another with `trunkload tokens create`";

}  // namespace

JoinTokens::JoinTokens(std::vector<TokenRecord> kept) {
  for (TokenRecord& token : kept) {
    std::string id = token.id;
    tokens_.emplace(std::move(id), std::move(token));
  }
}

JoinTokens::Made JoinTokens::Create(absl::Time now, absl::Duration ttl, uint32_t agents) {
  JoinToken token = JoinToken::Draw();
  while (tokens_.contains(token.id)) token = JoinToken::Draw();
  TokenRecord record{.id = token.id,
                     .hash = token.Hash(),
                     .created = now,
                     .expires = now + ttl,
                     .agents = agents,
                     .revoked = std::nullopt,
                     .instances = {}};
  tokens_[token.id] = record;
  return {token.Text(), std::move(record)};
}

std::vector<TokenRecord> JoinTokens::List() const {
  std::vector<TokenRecord> all;
  for (const auto& [id, token] : tokens_) all.push_back(token);
  std::stable_sort(all.begin(), all.end(),
                   [](const TokenRecord& a, const TokenRecord& b) { return a.created > b.created; });
  return all;
}

absl::StatusOr<const TokenRecord*> JoinTokens::Find(const std::string& id) const {
  const auto found = tokens_.find(id);
  if (found == tokens_.end())
    return absl::UnauthenticatedError(
        absl::StrCat("the join token is none of this controller's: ", kMakeAnother));
  if (found->second.revoked) {
    return absl::PermissionDeniedError(absl::StrCat("join token ", id, " was revoked at ",
                                                    TimeText(*found->second.revoked), ": ", kMakeAnother));
  }
  return &found->second;
}

absl::StatusOr<TokenRecord> JoinTokens::Revoke(const std::string& id, absl::Time now) {
  const auto found = tokens_.find(id);
  if (found == tokens_.end())
    return absl::NotFoundError(
        absl::StrCat("there is no token ", id, ": `trunkload tokens list` shows those there are"));
  if (!found->second.revoked) found->second.revoked = now;
  return found->second;
}

absl::StatusOr<std::string> JoinTokens::Identify(absl::string_view text) const {
  const std::optional<JoinToken> token = JoinToken::Parse(text);
  if (!token)
    return absl::UnauthenticatedError(
        "what was sent is not a join token: look into the file that --token-file names");
  // Whether the id is known takes no secret to find out: `tokens list` shows it.
  const absl::StatusOr<const TokenRecord*> record = Find(token->id);
  if (absl::IsUnauthenticated(record.status())) return record.status();
  const auto& hash = tokens_.at(token->id).hash;
  if (!SameHash(hash, token->Hash())) return Find("").status();
  if (!record.ok()) return record.status();
  return token->id;
}

absl::Status JoinTokens::CheckAdmission(const std::string& id, uint64_t instance, absl::Time now) const {
  const absl::StatusOr<const TokenRecord*> found = Find(id);
  if (!found.ok()) return found.status();
  const TokenRecord& token = **found;
  if (token.instances.contains(instance)) return absl::OkStatus();
  if (now >= token.expires) {
    return absl::PermissionDeniedError(
        absl::StrCat("join token ", id, " expired at ", TimeText(token.expires), ": ", kMakeAnother));
  }
  const size_t most = token.agents == 0 ? kMostInstances : token.agents;
  if (token.instances.size() < most) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("join token ", id, " has let in the ", most, most == 1 ? " agent" : " agents",
                   " that it was made for, and this is another process: ", kMakeAnother));
}

bool JoinTokens::Admit(const std::string& id, uint64_t instance) {
  const auto found = tokens_.find(id);
  return found != tokens_.end() && found->second.instances.insert(instance).second;
}

void JoinTokens::TakeBack(const std::string& id, uint64_t instance) {
  if (const auto found = tokens_.find(id); found != tokens_.end()) found->second.instances.erase(instance);
}

absl::Status JoinTokens::CheckMember(const std::string& id, uint64_t instance) const {
  const absl::StatusOr<const TokenRecord*> found = Find(id);
  if (!found.ok()) return found.status();
  if ((*found)->instances.contains(instance)) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("join token ", id, " has not let in the agent that this says it is"));
}

}  // namespace trunkload

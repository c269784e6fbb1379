#include "controller/store/token_store.h"

#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace trunkload {

absl::StatusOr<std::unique_ptr<TokenStore>> TokenStore::Open(const std::string& path) {
  absl::StatusOr<SqliteDatabase> database = SqliteDatabase::Open(path);
  if (!database.ok()) return database.status();
  if (absl::Status status = database->Execute("PRAGMA synchronous=FULL"); !status.ok()) return status;
  return std::unique_ptr<TokenStore>(new TokenStore(*std::move(database)));
}

absl::StatusOr<std::vector<TokenRecord>> TokenStore::Load() const {
  absl::StatusOr<SqliteStatement> query = database_.Prepare("SELECT * FROM join_tokens");
  if (!query.ok()) return query.status();
  std::map<std::string, TokenRecord> tokens;
  absl::StatusOr<bool> row;
  while ((row = query->NextChecked("a join token")).ok() && *row) {
    TokenRecord token{.id = std::string(query->Bytes(0)),
                      .hash = std::string(query->Bytes(1)),
                      .created = absl::FromUnixSeconds(query->Integer(2)),
                      .expires = absl::FromUnixSeconds(query->Integer(3)),
                      .agents = static_cast<uint32_t>(query->Integer(4)),
                      .revoked = std::nullopt,
                      .instances = {}};
    if (query->Integer(5) != 0) token.revoked = absl::FromUnixSeconds(query->Integer(5));
    tokens[token.id] = std::move(token);
  }
  if (!row.ok()) return row.status();
  absl::StatusOr<SqliteStatement> agents = database_.Prepare("SELECT * FROM token_agents");
  if (!agents.ok()) return agents.status();
  while ((row = agents->NextChecked("an agent of a join token")).ok() && *row) {
    const auto token = tokens.find(std::string(agents->Bytes(0)));
    if (token == tokens.end())
      return DamagedStore(database_.path(), absl::StrCat("the join token ", agents->Bytes(0), " is missing"));
    token->second.instances.insert(static_cast<uint64_t>(agents->Integer(1)));
  }
  if (!row.ok()) return row.status();
  std::vector<TokenRecord> all;
  for (auto& [id, token] : tokens) all.push_back(std::move(token));
  return all;
}

absl::Status TokenStore::Put(const TokenRecord& token) {
  absl::StatusOr<SqliteStatement> put =
      database_.Prepare("INSERT OR REPLACE INTO join_tokens VALUES (?, ?, ?, ?, ?, ?, ?)");
  if (!put.ok()) return put.status();
  return put->AddText(token.id)
      .AddBlob(token.hash)
      .Add(absl::ToUnixSeconds(token.created))
      .Add(absl::ToUnixSeconds(token.expires))
      .Add(token.agents)
      .Add(token.revoked ? absl::ToUnixSeconds(*token.revoked) : 0)
      .AddChecksum()
      .Run();
}

absl::Status TokenStore::PutInstance(const std::string& id, uint64_t instance) {
  absl::StatusOr<SqliteStatement> put =
      database_.Prepare("INSERT OR REPLACE INTO token_agents VALUES (?, ?, ?)");
  if (!put.ok()) return put.status();
  return put->AddText(id).Add(static_cast<int64_t>(instance)).AddChecksum().Run();
}

}  // namespace trunkload

#include "controller/store/token_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "controller/access/join_token.h"
#include "controller/store/run_store.h"

namespace trunkload {
namespace {

class TokenStoreTest : public ::testing::Test {
 protected:
  TokenStoreTest() : folder_(::testing::TempDir() + "/tokens-" + std::to_string(getpid())) {
    std::filesystem::remove_all(folder_);
  }
  ~TokenStoreTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<TokenStore> Open() {
    const auto runs = RunStore::Open(folder_, /*resumable=*/false);
    EXPECT_TRUE(runs.ok()) << runs.status();
    path_ = (*runs)->path();
    auto store = TokenStore::Open(path_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  const std::string folder_;
  std::string path_;
};

TEST_F(TokenStoreTest, TokensAndTheirAgentsAreThereAgain) {
  JoinTokens tokens;
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  const auto one = tokens.Create(now, absl::Hours(1), 3);
  const auto two = tokens.Create(now, absl::Hours(2), 0);
  {
    const auto store = Open();
    EXPECT_TRUE(store->Put(one.record).ok());
    EXPECT_TRUE(store->Put(two.record).ok());
    for (const uint64_t instance : {uint64_t{1}, UINT64_MAX, UINT64_MAX})
      EXPECT_TRUE(store->PutInstance(one.record.id, instance).ok());
    EXPECT_TRUE(store->Put(*tokens.Revoke(two.record.id, now + absl::Minutes(1))).ok());
  }
  const auto kept = Open()->Load();
  ASSERT_TRUE(kept.ok()) << kept.status();
  ASSERT_EQ(kept->size(), 2U);
  for (const TokenRecord& token : *kept) {
    const bool first = token.id == one.record.id;
    EXPECT_EQ(token.hash, first ? one.record.hash : two.record.hash);
    EXPECT_EQ(token.created, now);
    EXPECT_EQ(token.expires, now + absl::Hours(first ? 1 : 2));
    EXPECT_EQ(token.agents, first ? 3U : 0U);
    EXPECT_EQ(token.revoked.has_value(), !first);
    EXPECT_EQ(token.instances, first ? (std::set<uint64_t>{1, UINT64_MAX}) : std::set<uint64_t>{});
  }
  JoinTokens again(*kept);
  EXPECT_TRUE(again.Identify(one.text).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(again.Identify(two.text).status()));
}

TEST_F(TokenStoreTest, FileOfTheVersionBeforeGetsTheTables) {
  {
    Open();
    auto database = SqliteDatabase::Open(path_);
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(
        database->Execute("DROP TABLE join_tokens; DROP TABLE token_agents; PRAGMA user_version=3").ok());
  }
  const auto kept = Open()->Load();
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_TRUE(kept->empty());
}

TEST_F(TokenStoreTest, WhatSomebodyHasChangedIsDamage) {
  JoinTokens tokens;
  const auto one = tokens.Create(absl::FromUnixSeconds(1'700'000'000), absl::Hours(1), 1);
  const auto store = Open();
  EXPECT_TRUE(store->Put(one.record).ok());
  auto database = SqliteDatabase::Open(path_);
  ASSERT_TRUE(database.ok());
  ASSERT_TRUE(database->Execute("UPDATE join_tokens SET agents = 1000").ok());
  EXPECT_TRUE(absl::IsDataLoss(store->Load().status()));
}

}  // namespace
}  // namespace trunkload

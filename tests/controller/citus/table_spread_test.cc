#include "controller/citus/table_spread.h"

#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int kShards = 32;

std::vector<v1::DatabaseNode> Cluster(int workers) {
  std::vector<v1::DatabaseNode> nodes(1);
  nodes[0].set_name("c:5432");
  nodes[0].set_role(v1::DatabaseNode::ROLE_COORDINATOR);
  for (int i = 1; i <= workers; ++i) {
    v1::DatabaseNode& node = nodes.emplace_back();
    node.set_name("w" + std::to_string(i) + ":5432");
    node.set_role(v1::DatabaseNode::ROLE_WORKER);
    node.set_label("worker " + std::to_string(i));
    node.set_holds_shards(true);
  }
  return nodes;
}

// 32 shards with equal ranges, dealt out in turns.
std::vector<RelationWork> Shards(int workers) {
  std::vector<RelationWork> works(kShards);
  const int64_t width = (int64_t{1} << 32) / kShards;
  for (int i = 0; i < kShards; ++i) {
    RelationWork& work = works[static_cast<size_t>(i)];
    work.relation.set_table("events");
    work.relation.set_distribution_column("tenant_id");
    work.relation.set_shard(static_cast<uint64_t>(102000 + i));
    work.relation.set_node(static_cast<uint32_t>(1 + i % workers));
    work.relation.set_hash_min(static_cast<int32_t>(INT32_MIN + i * width));
    work.relation.set_hash_max(static_cast<int32_t>(INT32_MIN + (i + 1) * width - 1));
    work.known = true;
    work.rows = 0;
  }
  return works;
}

void Write(std::vector<RelationWork>& works, size_t shard, uint64_t rows = 1) {
  works[shard].rows_written += rows;
  works[shard].scans += rows;
  *works[shard].rows += rows;
}

TEST(TableSpreadTest, AnEvenLoadIsCalledEvenInAtLeast99Of100Runs) {
  std::mt19937_64 random(1);
  int uneven = 0;
  constexpr int kRuns = 3000;
  for (int run = 0; run < kRuns; ++run) {
    auto works = Shards(2 + run % 3);
    for (int row = 0; row < 2000 * (1 + run % 4); ++row) Write(works, random() % kShards);
    const v1::TableSpread spread = MeasureSpread(works, Cluster(2 + run % 3), {});
    if (!spread.even()) ++uneven;
  }
  EXPECT_LE(uneven, kRuns / 100);
}

TEST(TableSpreadTest, AHotKeyIsNamedWithItsShardAndWorker) {
  std::mt19937_64 random(2);
  auto works = Shards(2);
  for (int row = 0; row < 20000; ++row) Write(works, random() % 10 < 4 ? 11 : random() % kShards);
  v1::KeyFrequency key;
  key.set_key(17);
  key.set_share_low(0.395);
  key.set_share_high(0.404);
  key.set_shard(102011);
  const v1::TableSpread spread = MeasureSpread(works, Cluster(2), {key});
  EXPECT_FALSE(spread.even());
  EXPECT_THAT(spread.verdict(), HasSubstr("uneven: worker 2 (w2:5432) has "));
  EXPECT_THAT(spread.verdict(), HasSubstr("of the rows written, where 50 % would be even"));
  EXPECT_THAT(spread.verdict(), HasSubstr("shard 102011 on worker 2 (w2:5432) alone has 4"));
  EXPECT_THAT(spread.verdict(), HasSubstr("tenant_id 17 is hot, with 40 % of the keys"));
}

TEST(TableSpreadTest, AKeyOfAnotherShardIsNotBlamed) {
  auto works = Shards(2);
  for (size_t shard = 0; shard < kShards; ++shard) Write(works, shard, shard == 11 ? 20000 : 1000);
  v1::KeyFrequency key;
  key.set_key(17);
  key.set_share_high(0.3);
  key.set_shard(102012);
  EXPECT_THAT(MeasureSpread(works, Cluster(2), {key}).verdict(), Not(HasSubstr("hot")));
}

TEST(TableSpreadTest, AWorkerThatHasNoMoreThanOthersIsNotNamed) {
  auto works = Shards(2);
  // Shard 11 is on worker 2, and worker 1 has as many by 16 shards that are each a little over.
  for (size_t shard = 0; shard < kShards; ++shard)
    Write(works, shard, shard == 11 ? 16000 : shard % 2 ? 1000 : 1937);
  const v1::TableSpread spread = MeasureSpread(works, Cluster(2), {});
  EXPECT_FALSE(spread.even());
  EXPECT_THAT(spread.verdict(), HasSubstr("uneven: shard 102011 on worker 2 (w2:5432) alone has"));
  EXPECT_THAT(spread.verdict(), Not(HasSubstr("would be even;")));
}

TEST(TableSpreadTest, ShardsThatWereMovedAreSaidToBe) {
  std::mt19937_64 random(3);
  auto works = Shards(2);
  for (size_t shard = 0; shard < 8; shard += 2) works[shard].relation.set_node(2);
  for (int row = 0; row < 20000; ++row) Write(works, random() % kShards);
  const v1::TableSpread spread = MeasureSpread(works, Cluster(2), {});
  EXPECT_FALSE(spread.even());
  EXPECT_THAT(spread.verdict(), HasSubstr("worker 2 (w2:5432) has 6"));
  EXPECT_THAT(spread.verdict(), HasSubstr("it holds 20 of the 32 shards"));
  EXPECT_THAT(spread.verdict(), Not(HasSubstr("alone")));
}

TEST(TableSpreadTest, AWorkerWithoutShardsCounts) {
  auto works = Shards(2);
  for (size_t shard = 0; shard < kShards; ++shard) Write(works, shard, 1000);
  EXPECT_TRUE(MeasureSpread(works, Cluster(2), {}).even());
  const v1::TableSpread spread = MeasureSpread(works, Cluster(3), {});
  EXPECT_FALSE(spread.even());
  EXPECT_THAT(spread.verdict(), HasSubstr("where 33 % would be even: it holds 16 of the 32 shards"));
}

// 11, 11 and 10 shards on three workers are as even as can be.
TEST(TableSpreadTest, ShardsThatCannotBeDealtOutEvenlyAreEven) {
  auto works = Shards(3);
  for (size_t shard = 0; shard < kShards; ++shard) Write(works, shard, 1000);
  EXPECT_TRUE(MeasureSpread(works, Cluster(3), {}).even());
}

TEST(TableSpreadTest, AFewKeysAreMoreThanChance) {
  std::mt19937_64 random(4);
  auto works = Shards(2);
  std::vector<size_t> shard_of_tenant(100);
  for (size_t& shard : shard_of_tenant) shard = random() % kShards;
  for (int row = 0; row < 20000; ++row) Write(works, shard_of_tenant[random() % shard_of_tenant.size()]);
  EXPECT_FALSE(MeasureSpread(works, Cluster(2), {}).even());
}

TEST(TableSpreadTest, WithMillionsOfRowsAHairIsNoUnevenness) {
  auto works = Shards(2);
  for (size_t shard = 0; shard < kShards; ++shard) Write(works, shard, 1'000'000 + shard * 400);
  const v1::TableSpread spread = MeasureSpread(works, Cluster(2), {});
  EXPECT_LT(spread.rows().p_value(), 1e-6);
  EXPECT_TRUE(spread.even());
  EXPECT_THAT(spread.verdict(), HasSubstr("no shard has more than 2 % over its share"));
}

TEST(TableSpreadTest, WhatCannotBeJudgedIsNot) {
  auto works = Shards(2);
  EXPECT_EQ(MeasureSpread(works, Cluster(2), {}).verdict(), "empty and unused");
  Write(works, 3, 1000);
  works[4].known = false;
  const v1::TableSpread partial = MeasureSpread(works, Cluster(2), {});
  EXPECT_TRUE(partial.partial());
  EXPECT_FALSE(partial.even());
  EXPECT_THAT(partial.verdict(), HasSubstr("not judged"));

  auto single = Shards(1);
  single.resize(1);
  single[0].relation.clear_hash_min();
  Write(single, 0, 10);
  EXPECT_THAT(MeasureSpread(single, Cluster(1), {}).verdict(), HasSubstr("not distributed by hash"));
}

TEST(TableSpreadTest, NodesAddUpToTheirShards) {
  auto works = Shards(2);
  Write(works, 0, 10);
  Write(works, 1, 30);
  works[2].bytes = 5;
  const v1::TableSpread spread = MeasureSpread(works, Cluster(2), {});
  ASSERT_EQ(spread.nodes_size(), 2);
  EXPECT_EQ(spread.nodes(0).rows(), 10);
  EXPECT_EQ(spread.nodes(0).bytes(), 5);
  EXPECT_EQ(spread.nodes(1).rows_written(), 30);
  EXPECT_DOUBLE_EQ(spread.nodes(1).work_share(), 0.75);
  EXPECT_DOUBLE_EQ(spread.nodes(1).range_share(), 0.5);
  EXPECT_EQ(spread.nodes(1).shards(), 16);
  works[0].rows.reset();
  EXPECT_FALSE(MeasureSpread(works, Cluster(2), {}).nodes(0).has_rows()) << "not counted is not 0";
}

}  // namespace
}  // namespace trunkload

#include "controller/parts.h"

#include <map>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::ElementsAre;

Parts Dealt(uint32_t servers, AgentId agents) {
  Parts parts;
  for (uint32_t number = 0; number < servers; ++number) {
    v1::ApplicationServer server;
    server.set_number(number);
    server.set_seed(number * 1000);
    parts.Add(number % agents + 1, server);
  }
  return parts;
}

std::vector<uint32_t> Numbers(const Parts& parts, AgentId agent) {
  std::vector<uint32_t> numbers;
  for (const v1::ApplicationServer& server : parts.of(agent)) numbers.push_back(server.number());
  return numbers;
}

TEST(PartsTest, TheOthersTakeOverEvenly) {
  Parts parts = Dealt(9, 3);
  EXPECT_THAT(parts.TakeOver(2, {1, 3}), ElementsAre(1, 3));
  EXPECT_TRUE(parts.of(2).empty());
  EXPECT_THAT(Numbers(parts, 1), ElementsAre(0, 3, 6, 1, 7));
  EXPECT_THAT(Numbers(parts, 3), ElementsAre(2, 5, 8, 4));
  std::set<uint64_t> seeds;
  for (const AgentId agent : {1, 3}) {
    for (const v1::ApplicationServer& server : parts.of(agent)) {
      EXPECT_EQ(server.generation(), server.number() % 3 == 1 ? 1 : 0) << server.number();
      EXPECT_TRUE(seeds.insert(server.seed()).second);
    }
  }
}

TEST(PartsTest, ANewcomerGetsWhatNobodyHas) {
  Parts parts = Dealt(6, 3);
  EXPECT_THAT(parts.Rebalance({1, 3, 7}, {7}), ElementsAre(7)) << "the others keep what they have";
  EXPECT_THAT(Numbers(parts, 7), ElementsAre(1, 4));
  EXPECT_THAT(Numbers(parts, 1), ElementsAre(0, 3));
}

TEST(PartsTest, ANewcomerRelievesThoseThatTookOver) {
  Parts parts = Dealt(6, 3);
  parts.TakeOver(2, {1, 3});
  const std::set<AgentId> changed = parts.Rebalance({1, 3, 7}, {7});
  EXPECT_THAT(changed, ElementsAre(1, 3, 7));
  for (const AgentId agent : {1, 3, 7}) {
    EXPECT_EQ(parts.of(agent).size(), 2) << agent;
    for (const v1::ApplicationServer& server : parts.of(agent)) EXPECT_GE(server.generation(), 1);
  }
}

TEST(PartsTest, WithoutNewcomersTheOthersGetIt) {
  Parts parts = Dealt(6, 3);
  EXPECT_THAT(parts.Rebalance({1, 3}, {}), ElementsAre(1, 3));
  EXPECT_EQ(parts.of(1).size() + parts.of(3).size(), 6);
}

TEST(PartsTest, EverybodyNew) {
  Parts parts = Dealt(5, 2);
  EXPECT_THAT(parts.Rebalance({7, 8}, {7, 8}), ElementsAre(7, 8));
  EXPECT_EQ(parts.of(7).size() + parts.of(8).size(), 5);
}

}  // namespace
}  // namespace trunkload

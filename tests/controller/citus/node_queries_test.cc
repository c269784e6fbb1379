#include "controller/citus/node_queries.h"

#include "controller/citus/cluster_queries.h"
#include "controller/citus/json_answer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(NodeQueriesTest, ReadsWhatTheServerHas) {
  const auto all = ParseServerObjects("t t");
  ASSERT_TRUE(all.ok());
  EXPECT_TRUE(all->citus && all->counters);
  const auto none = ParseServerObjects("f f");
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->citus || none->counters);
  for (const char* text : {"", "t", "t,t", "yes no", "t t "})
    EXPECT_FALSE(ParseServerObjects(text).ok()) << text;
}

TEST(NodeQueriesTest, AsksOnlyForWhatIsThere) {
  EXPECT_THAT(SampleQuery({}, {}, 0), Not(HasSubstr("citus_stat_counters")));
  EXPECT_THAT(SampleQuery({.citus = true, .counters = true}, {}, 0), HasSubstr("citus_stat_counters"));
  EXPECT_THAT(RelationsQuery({}, {}), Not(HasSubstr("pg_dist")));
}

TEST(NodeQueriesTest, NamesAreQuoted) {
  v1::Relation relation;
  relation.set_name("public.\"it's\"");
  EXPECT_THAT(SampleQuery({}, {relation}, 0), HasSubstr("'public.\"it''s\"'"));
  EXPECT_THAT(CountQuery({relation}, 0), HasSubstr("FROM public.\"it's\""));
  EXPECT_THAT(RelationsQuery({}, {"a'b"}), HasSubstr("'a''b'"));
  v1::DatabaseNode node;
  node.set_name("::1:5432");
  EXPECT_THAT(ThroughCoordinator(node, "SELECT 'x'"),
              HasSubstr("ARRAY['::1']::text[], ARRAY[5432]::int[], ARRAY['SELECT ''x''']"));
}

TEST(NodeQueriesTest, OnlyTheNodesOwnRelations) {
  std::vector<v1::Relation> relations(3);
  for (size_t i = 0; i < relations.size(); ++i) {
    relations[i].set_name("t" + std::to_string(i));
    relations[i].set_node(static_cast<uint32_t>(i % 2));
  }
  const std::string query = SampleQuery({}, relations, 0);
  EXPECT_THAT(query, HasSubstr("ARRAY['t0', 't2']"));
  EXPECT_THAT(query, HasSubstr("ARRAY[0, 2]"));
  EXPECT_EQ(CountQuery(relations, 7), "SELECT '{}'");
}

TEST(NodeQueriesTest, ReadsSamples) {
  const auto sample = ParseAnswer<v1::Observed::Sample>(
      R"({"sample": {"committed": 12, "wal_bytes": 9007199254740993, "connections": 3, "citus": null, "later": [1]},
          "relations": [{"relation": 5, "rows_inserted": 7}]})");
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->sample().committed(), 12);
  EXPECT_EQ(sample->sample().wal_bytes(), 9007199254740993);
  EXPECT_FALSE(sample->sample().has_citus());
  EXPECT_EQ(sample->relations(0).rows_inserted(), 7);
  for (const char* text : {"", "12", "[]", "{\"sample\": 3}", "{\"sample\": {\"committed\": -1}}"})
    EXPECT_TRUE(absl::IsInvalidArgument(ParseAnswer<v1::Observed::Sample>(text).status())) << text;
}

TEST(NodeQueriesTest, ReadsRowsAndNodes) {
  const auto rows = ParseAnswer<v1::Observed::Rows>(R"({"rows": {"0": 12, "31": 0}})");
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->rows().at(0), 12);
  EXPECT_EQ(rows->rows().size(), 2);
  const auto nodes = ParseAnswer<v1::Observed::Nodes>(
      R"({"nodes": [{"name": "a:1", "role": "ROLE_WORKER", "holds_shards": true}]})");
  ASSERT_TRUE(nodes.ok());
  EXPECT_EQ(nodes->nodes(0).role(), v1::DatabaseNode::ROLE_WORKER);
}

}  // namespace
}  // namespace trunkload

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_split.h"
#include "controller/report/text.h"

namespace trunkload {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A phase on a coordinator and two workers.
v1::RunResult OnCitus() {
  v1::RunResult result;
  result.mutable_verdict()->set_valid(true);
  v1::PhaseResult& phase = *result.add_phases();
  phase.set_name("measured");
  phase.set_recorded(true);
  phase.set_duration_s(10);
  phase.set_transactions(1000);
  for (uint32_t i = 0; i < 3; ++i) {
    v1::DatabaseNode& about = *result.mutable_observation()->add_nodes();
    about.set_name("n" + std::to_string(i) + ":5432");
    about.set_role(i == 0 ? v1::DatabaseNode::ROLE_COORDINATOR : v1::DatabaseNode::ROLE_WORKER);
    about.set_label(i == 0 ? "coordinator" : "worker " + std::to_string(i));
    about.set_samples(12);
    about.set_sample_us(2500);
    v1::NodeWork& node = *phase.add_nodes();
    node.set_node(i);
    node.set_committed_per_s(100);
    node.set_rows_written_per_s(i == 0 ? 0 : 50);
    node.set_stored_bytes_per_s(i == 0 ? 0 : 4000);
    node.set_connections_mean(11.6);
    node.set_connections_max(12);
  }
  v1::CitusCounters& citus = *phase.mutable_nodes(0)->mutable_citus();
  citus.set_single_shard(900);
  citus.set_multi_shard(100);
  return result;
}

std::string Text(const v1::RunResult& result) {
  return TextReport(result, false);
}

TEST(DatabaseTextTest, EachNodeHasALine) {
  const std::string text = Text(OnCitus());
  EXPECT_THAT(text, HasSubstr("commits/s"));
  EXPECT_THAT(text, HasSubstr("coordinator"));
  EXPECT_THAT(text, HasSubstr("worker 2"));
  EXPECT_THAT(text, HasSubstr("12/12"));
  EXPECT_THAT(text, HasSubstr("queries: 900 to one shard, 100 to several"));
  EXPECT_THAT(text, HasSubstr("samples of the observer: coordinator 12 of 2.50 ms; worker 1 12 of 2.50 ms"));
  EXPECT_THAT(text, Not(HasSubstr("partial")));
  EXPECT_THAT(text, Not(HasSubstr("rebalancer")));
}

TEST(DatabaseTextTest, PartialFiguresAreMarked) {
  v1::RunResult result = OnCitus();
  result.mutable_phases(0)->mutable_nodes(2)->set_partial(true);
  v1::NodeEvent& event = *result.mutable_observation()->add_events();
  event.set_phase("measured");
  event.set_second(3.2);
  event.set_node(2);
  event.set_text("does not answer: connection refused");
  const std::string text = Text(result);
  EXPECT_THAT(text, HasSubstr("worker 2 *"));
  EXPECT_THAT(text, HasSubstr("* partial: "));
  EXPECT_THAT(text, HasSubstr("measured, second 3: worker 2"));
  EXPECT_THAT(text, HasSubstr("does not answer: connection refused"));
}

TEST(DatabaseTextTest, ConnectionsAreNamedByWhoHoldsThem) {
  v1::RunResult result = OnCitus();
  for (const auto& [application, state, mean] :
       {std::tuple("citus_internal", "active", 2.0), std::tuple("citus_internal", "idle", 9.6),
        std::tuple("", "idle", 1.0), std::tuple("psql", "idle", 0.01)}) {
    v1::ConnectionUse& use = *result.mutable_phases(0)->mutable_nodes(1)->add_groups();
    use.set_application(application);
    use.set_state(state);
    use.set_mean(mean);
  }
  const std::string text = Text(result);
  EXPECT_THAT(text, HasSubstr("connections of worker 1, on average: citus_internal 2.0 active, 9.6 idle; "
                              "(no name) 1.0 idle\n"));
}

TEST(DatabaseTextTest, AnObservedPhaseHasItsStatements) {
  v1::RunResult result = OnCitus();
  v1::NodeWork& node = *result.mutable_phases(0)->mutable_nodes(0);
  v1::StatementTime& statement = *node.add_statements();
  statement.set_query("UPDATE users SET name = $1");
  statement.set_calls(900);
  statement.set_total_us(1.5e6);
  v1::StatementRoute& one = *node.add_routes();
  one.set_query("UPDATE users");
  one.set_executor("adaptive");
  one.set_calls(900);
  one.set_keys(17);
  v1::StatementRoute& several = *node.add_routes();
  several.set_query("SELECT count(*)");
  several.set_executor("adaptive");
  several.set_calls(100);
  v1::TenantUse& tenant = *node.add_tenants();
  tenant.set_tenant("17");
  tenant.set_queries(400);
  tenant.set_cpu_s(0.75);
  node.add_tenants()->set_cpu_s(0.25);
  v1::LockWait& wait = *node.add_lock_waits();
  wait.set_waiting("UPDATE users");
  wait.set_blocking("DELETE");
  wait.set_seen(1);
  const std::string text = Text(result);
  EXPECT_THAT(text,
              HasSubstr("statements of coordinator: 1.50 s in 900 calls of \"UPDATE users SET name = $1\""));
  EXPECT_THAT(text, HasSubstr("900 calls by adaptive, each with one of 17 keys, of \"UPDATE users\""));
  EXPECT_THAT(text, HasSubstr("100 calls by adaptive, without a key, of \"SELECT count(*)\""));
  EXPECT_THAT(text, HasSubstr("17 used 75.0 % of the CPU of those it knows, in 400 queries"));
  EXPECT_THAT(text, HasSubstr("locks on coordinator: \"UPDATE users\" waited for \"DELETE\" (seen 1 time)"));
}

TEST(DatabaseTextTest, WhatTheRebalancerWouldMove) {
  v1::RunResult result = OnCitus();
  result.mutable_observation()->mutable_rebalance();
  EXPECT_THAT(Text(result), HasSubstr("the rebalancer would move nothing"));
  for (uint64_t shard = 102000; shard < 102002; ++shard) {
    v1::ShardMove& move = *result.mutable_observation()->mutable_rebalance()->add_moves();
    move.set_table("users");
    move.set_shard(shard);
    move.set_bytes(1000000);
    move.set_from("n2:5432");
    move.set_to("n1:5432");
  }
  EXPECT_THAT(Text(result), HasSubstr("the rebalancer would move 2 shards"));
  EXPECT_THAT(Text(result), HasSubstr("102000 of users from n2:5432 to n1:5432"));
}

TEST(DatabaseTextTest, LongStatementsAreFolded) {
  v1::RunResult result = OnCitus();
  v1::StatementTime& statement = *result.mutable_phases(0)->mutable_nodes(0)->add_statements();
  statement.set_query(
      "INSERT INTO users (tenant_id, name, email, created_at, payload) VALUES ($1, $2, $3, $4, $5), "
      "($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15)");
  statement.set_calls(1);
  for (const absl::string_view line : absl::StrSplit(Text(result), '\n')) EXPECT_LE(line.size(), 100) << line;
}

}  // namespace
}  // namespace trunkload

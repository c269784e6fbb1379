#include "controller/citus/observation.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;

v1::Plan TwoPhases() {
  v1::Plan plan;
  plan.add_phases()->set_name("one");
  plan.add_phases()->set_name("two");
  return plan;
}

// A coordinator and two workers; a table with a shard on each of these.
v1::Observed Nodes() {
  v1::Observed observed;
  for (int i = 0; i < 3; ++i) {
    v1::DatabaseNode& node = *observed.mutable_nodes()->add_nodes();
    node.set_name("n" + std::to_string(i) + ":5432");
    node.set_role(i == 0 ? v1::DatabaseNode::ROLE_COORDINATOR : v1::DatabaseNode::ROLE_WORKER);
    node.set_holds_shards(i > 0);
  }
  for (int i = 0; i < 2; ++i) {
    v1::Relation& relation = *observed.mutable_nodes()->add_relations();
    relation.set_table("users");
    relation.set_distribution_column("id");
    relation.set_shard(static_cast<uint64_t>(102000 + i));
    relation.set_node(static_cast<uint32_t>(1 + i));
    relation.set_hash_min(i == 0 ? INT32_MIN : 0);
    relation.set_hash_max(i == 0 ? -1 : INT32_MAX);
  }
  return observed;
}

class ObservationTest : public testing::Test {
 protected:
  void Sample(uint32_t node, uint64_t rows, bool under_load, bool reading) {
    v1::Observed observed = At(under_load);
    v1::Observed::Sample& sample = *observed.mutable_sample();
    sample.set_node(node);
    sample.set_took_us(1000);
    sample.set_reading(reading);
    sample.mutable_sample()->set_committed(rows * 2);
    sample.mutable_sample()->set_rows_inserted(rows);
    sample.mutable_sample()->set_wal_bytes(rows * 100);
    sample.mutable_sample()->set_connections(under_load ? 8 : 2);
    sample.mutable_sample()->mutable_citus()->set_single_shard(rows);
    if (reading && node > 0) {
      v1::RelationSample& relation = *sample.add_relations();
      relation.set_relation(node - 1);
      relation.set_rows_inserted(rows);
      relation.set_bytes(rows * 10);
    }
    observation.Add(observed);
  }
  void Unreachable(uint32_t node, bool under_load) {
    v1::Observed observed = At(under_load);
    observed.mutable_unreachable()->set_node(node);
    observed.mutable_unreachable()->set_reason("connection refused");
    observation.Add(observed);
  }
  void Rows(uint32_t node, uint64_t rows) {
    v1::Observed observed = At(false);
    observed.mutable_rows()->set_node(node);
    if (node > 0) (*observed.mutable_rows()->mutable_rows())[node - 1] = rows;
    observation.Add(observed);
  }
  // All nodes, with so many rows on each worker.
  void ReadAll(uint64_t rows) {
    observation.Ask(false);
    for (uint32_t node = 0; node < 3; ++node) {
      EXPECT_TRUE(observation.awaits());
      Sample(node, node == 0 ? 0 : rows, false, true);
    }
    EXPECT_FALSE(observation.awaits());
  }
  v1::Observed At(bool under_load) {
    v1::Observed observed;
    observed.set_phase(phase);
    observed.set_under_load(under_load);
    observed.set_second(under_load ? second : 0);
    observed.set_at_s(phase * 100 + second);
    return observed;
  }
  v1::RunResult Result() const {
    v1::RunResult result;
    for (const char* name : {"one", "two"}) {
      v1::PhaseResult& phase = *result.add_phases();
      phase.set_name(name);
      phase.set_duration_s(10);
    }
    observation.AddTo(TwoPhases(), {}, result);
    return result;
  }

  Observation observation;
  uint32_t phase = 0;
  double second = 0;
};

TEST_F(ObservationTest, APhaseIsWhatLiesBetweenItsReadings) {
  observation.Add(Nodes());
  ReadAll(100);
  second = 1;
  for (uint32_t node = 0; node < 3; ++node) Sample(node, 150, true, false);
  second = 2;
  for (uint32_t node = 0; node < 3; ++node) Sample(node, 200, true, false);
  phase = 1;
  second = 0;
  ReadAll(1100);
  phase = 2;
  ReadAll(1600);
  const v1::RunResult result = Result();
  ASSERT_EQ(result.phases(0).nodes_size(), 3);
  const v1::NodeWork& work = result.phases(0).nodes(1);
  EXPECT_FALSE(work.partial());
  EXPECT_DOUBLE_EQ(work.rows_written_per_s(), 100);
  EXPECT_DOUBLE_EQ(work.committed_per_s(), 200);
  EXPECT_DOUBLE_EQ(work.wal_bytes_per_s(), 10000);
  EXPECT_DOUBLE_EQ(work.share(), 0.5);
  EXPECT_EQ(work.citus().single_shard(), 1000);
  EXPECT_EQ(work.samples(), 2);
  EXPECT_DOUBLE_EQ(work.connections_mean(), 8);
  EXPECT_EQ(work.connections_max(), 8);
  EXPECT_DOUBLE_EQ(result.phases(1).nodes(2).rows_written_per_s(), 50);
  EXPECT_DOUBLE_EQ(result.observation().nodes(0).sample_us(), 1000);
  EXPECT_EQ(result.observation().timeline_size(), 15);
  // From 150 to 200 in a second.
  EXPECT_DOUBLE_EQ(result.observation().timeline(6).rows_written_per_s(), 50);
  EXPECT_EQ(result.observation().timeline(6).phase(), "one");
}

TEST_F(ObservationTest, TablesAreComparedFromTheFirstReadingToTheLast) {
  observation.Add(Nodes());
  ReadAll(100);
  phase = 1;
  ReadAll(600);
  phase = 2;
  observation.Ask(true);
  for (uint32_t node = 0; node < 3; ++node) Sample(node, 1100, false, true);
  EXPECT_TRUE(observation.awaits()) << "rows are still to come";
  for (uint32_t node = 0; node < 3; ++node) Rows(node, 5000 + node);
  EXPECT_FALSE(observation.awaits());
  const v1::RunResult result = Result();
  ASSERT_EQ(result.observation().tables_size(), 1);
  const v1::TableSpread& users = result.observation().tables(0);
  EXPECT_EQ(users.table(), "users");
  EXPECT_EQ(users.shards(0).rows_written(), 1000);
  EXPECT_EQ(users.shards(0).rows(), 5001);
  EXPECT_EQ(users.shards(1).bytes(), 11000);
  EXPECT_EQ(users.verdict(), "even within sampling noise");
}

TEST_F(ObservationTest, ANodeThatWasAwayMakesItsPhasePartial) {
  observation.Add(Nodes());
  ReadAll(100);
  second = 1;
  for (uint32_t node = 0; node < 3; ++node) Sample(node, 100, true, false);
  second = 3;
  for (uint32_t node = 0; node < 2; ++node) Sample(node, 300, true, false);
  Unreachable(2, true);
  Unreachable(2, true);
  phase = 1;
  second = 0;
  observation.Ask(false);
  Sample(0, 400, false, true);
  Sample(1, 1100, false, true);
  EXPECT_TRUE(observation.awaits());
  Unreachable(2, false);
  EXPECT_FALSE(observation.awaits());
  second = 5;
  Sample(2, 5, true, false);
  const v1::RunResult result = Result();
  EXPECT_FALSE(result.phases(0).nodes(1).partial());
  EXPECT_TRUE(result.phases(0).nodes(2).partial());
  ASSERT_EQ(result.observation().events_size(), 3);
  EXPECT_EQ(result.observation().events(0).phase(), "one");
  EXPECT_DOUBLE_EQ(result.observation().events(0).second(), 3);
  EXPECT_THAT(result.observation().events(0).text(), HasSubstr("does not answer: connection refused"));
  EXPECT_EQ(result.observation().events(1).text(), "answers again");
  EXPECT_THAT(result.observation().events(2).text(), HasSubstr("lost its counters"));
  ASSERT_EQ(result.observation().tables_size(), 1);
  EXPECT_TRUE(result.observation().tables(0).partial());
}

TEST_F(ObservationTest, WithoutReadingsTheSamplesHaveToDo) {
  observation.Add(Nodes());
  for (second = 1; second <= 5; ++second) Sample(1, static_cast<uint64_t>(second) * 100, true, false);
  const v1::RunResult result = Result();
  EXPECT_TRUE(result.phases(0).nodes(1).partial());
  EXPECT_DOUBLE_EQ(result.phases(0).nodes(1).rows_written_per_s(), 100);
  EXPECT_EQ(result.phases(0).nodes(1).citus().single_shard(), 400);
}

TEST_F(ObservationTest, ADatabaseThatCannotBeObservedIsNotWaitedFor) {
  observation.Ask(false);
  EXPECT_TRUE(observation.awaits()) << "its nodes are not known yet";
  v1::Observed observed;
  observed.set_failure("cannot observe the database: permission denied");
  observation.Add(observed);
  EXPECT_FALSE(observation.awaits());
  observation.Ask(true);
  EXPECT_FALSE(observation.awaits());
  const v1::RunResult result = Result();
  EXPECT_THAT(result.observation().lacking(), testing::ElementsAre(HasSubstr("permission denied")));
  EXPECT_TRUE(result.phases(0).nodes().empty());
}

TEST_F(ObservationTest, AddedAgainItIsTheSame) {
  observation.Add(Nodes());
  ReadAll(100);
  Unreachable(1, true);
  Sample(1, 150, true, false);
  phase = 1;
  ReadAll(1100);
  Observation again;
  for (const v1::Observed& observed : observation.TakeNew()) again.Add(observed);
  EXPECT_TRUE(observation.TakeNew().empty());
  v1::RunResult result;
  result.add_phases()->set_name("one");
  result.mutable_phases(0)->set_duration_s(10);
  v1::RunResult result_again = result;
  observation.AddTo(TwoPhases(), {}, result);
  again.AddTo(TwoPhases(), {}, result_again);
  EXPECT_EQ(result.SerializeAsString(), result_again.SerializeAsString());
}

TEST_F(ObservationTest, NodesHaveTheNamesThatReportsGiveThem) {
  observation.Add(Nodes());
  const v1::RunResult result = Result();
  EXPECT_EQ(result.observation().nodes(0).label(), "coordinator");
  EXPECT_EQ(result.observation().nodes(2).label(), "worker 2");
}

TEST_F(ObservationTest, TablesGrowBetweenReadings) {
  observation.Add(Nodes());
  ReadAll(100);
  phase = 1;
  ReadAll(1100);
  const v1::RunResult result = Result();
  EXPECT_DOUBLE_EQ(result.phases(0).nodes(1).stored_bytes_per_s(), 1000);
  // What comes after the second phase was not read.
  EXPECT_DOUBLE_EQ(result.phases(1).nodes(1).stored_bytes_per_s(), 0);
  EXPECT_TRUE(result.phases(1).nodes(1).partial());
}

TEST_F(ObservationTest, ConnectionsAreOfThoseThatCallThemselvesSo) {
  observation.Add(Nodes());
  for (const uint32_t idle : {6, 0}) {
    v1::Observed observed = At(true);
    v1::NodeSample& sample = *observed.mutable_sample()->mutable_sample();
    if (idle > 0) {
      v1::ConnectionGroup& group = *sample.add_groups();
      group.set_application("trunkload agent");
      group.set_state("idle");
      group.set_count(idle);
    }
    observation.Add(observed);
  }
  const v1::RunResult result = Result();
  ASSERT_EQ(result.phases(0).nodes(0).groups_size(), 1);
  const v1::ConnectionUse& use = result.phases(0).nodes(0).groups(0);
  EXPECT_EQ(use.application(), "trunkload agent");
  EXPECT_EQ(use.state(), "idle");
  EXPECT_DOUBLE_EQ(use.mean(), 3);
  EXPECT_EQ(use.max(), 6);
}

TEST_F(ObservationTest, AnObservedPhaseHasWhatWasCountedInIt) {
  observation.Add(Nodes());
  const auto tracked = [this](bool on, uint64_t update_calls, uint64_t router_calls) {
    v1::Observed observed = At(false);
    v1::Observed::Tracked& told = *observed.mutable_tracked();
    told.set_on(on);
    for (const auto& [query, calls] :
         {std::pair("UPDATE", update_calls), std::pair("SELECT", uint64_t{50})}) {
      v1::StatementTime& statement = *told.add_statements();
      statement.set_query(query);
      statement.set_calls(calls);
      statement.set_rows(calls * 2);
      statement.set_total_us(static_cast<double>(calls) * 10);
    }
    v1::StatementRoute& route = *told.add_routes();
    route.set_query("UPDATE");
    route.set_executor("router");
    route.set_calls(router_calls);
    v1::TenantUse& tenant = *told.add_tenants();
    tenant.set_tenant("17");
    tenant.set_queries(router_calls);
    observation.Add(observed);
  };
  tracked(true, 100, 7);
  ReadAll(100);
  phase = 1;
  tracked(false, 1100, 1007);
  ReadAll(1100);
  phase = 2;
  ReadAll(2100);
  const v1::RunResult result = Result();
  const v1::NodeWork& work = result.phases(0).nodes(0);
  // What did not run in the phase is left out.
  ASSERT_EQ(work.statements_size(), 1);
  EXPECT_EQ(work.statements(0).query(), "UPDATE");
  EXPECT_EQ(work.statements(0).calls(), 1000);
  EXPECT_EQ(work.statements(0).rows(), 2000);
  EXPECT_DOUBLE_EQ(work.statements(0).total_us(), 10000);
  ASSERT_EQ(work.routes_size(), 1);
  EXPECT_EQ(work.routes(0).calls(), 1000);
  ASSERT_EQ(work.tenants_size(), 1);
  EXPECT_EQ(work.tenants(0).tenant(), "17");
  EXPECT_TRUE(result.phases(1).nodes(0).statements().empty());
}

TEST_F(ObservationTest, WhatCouldNotBeCountedIsSaidOnce) {
  observation.Add(Nodes());
  for (int i = 0; i < 2; ++i) {
    v1::Observed observed = At(false);
    observed.mutable_tracked()->set_node(2);
    observed.mutable_tracked()->add_lacking("only a superuser may turn it on");
    observation.Add(observed);
  }
  EXPECT_THAT(Result().observation().lacking(),
              testing::ElementsAre("of worker 2: only a superuser may turn it on"));
}

TEST_F(ObservationTest, WaitsForLocksAddUp) {
  observation.Add(Nodes());
  for (int i = 0; i < 2; ++i) {
    v1::Observed observed = At(true);
    for (const char* blocking : {"SELECT", "UPDATE"}) {
      v1::LockWait& wait = *observed.mutable_waits()->add_waits();
      wait.set_waiting("UPDATE");
      wait.set_blocking(blocking);
      wait.set_seen(blocking == std::string("UPDATE") ? 4 : 1);
    }
    observation.Add(observed);
  }
  Sample(0, 1, true, false);
  const v1::RunResult result = Result();
  ASSERT_EQ(result.phases(0).nodes(0).lock_waits_size(), 2);
  EXPECT_EQ(result.phases(0).nodes(0).lock_waits(0).blocking(), "UPDATE");
  EXPECT_EQ(result.phases(0).nodes(0).lock_waits(0).seen(), 8);
}

// Its counters stayed where it was.
TEST_F(ObservationTest, AShardThatWasMovedInTheRunMakesItsTablePartial) {
  observation.Add(Nodes());
  ReadAll(100);
  phase = 2;
  ReadAll(600);
  v1::Observed observed = At(false);
  const v1::Observed nodes = Nodes();
  for (v1::Relation relation : nodes.nodes().relations()) {
    if (relation.shard() == 102001) relation.set_node(1);
    *observed.mutable_placement()->add_relations() = relation;
  }
  observation.Add(observed);
  const v1::RunResult result = Result();
  ASSERT_EQ(result.observation().events_size(), 1);
  EXPECT_EQ(result.observation().events(0).node(), 1);
  EXPECT_EQ(result.observation().events(0).text(),
            "holds shard 102001 of users, which was elsewhere when the run began");
  ASSERT_EQ(result.observation().tables_size(), 1);
  EXPECT_TRUE(result.observation().tables(0).partial());
}

TEST_F(ObservationTest, WhatTheRebalancerWouldDoIsKnownOrNot) {
  observation.Add(Nodes());
  EXPECT_FALSE(Result().observation().has_rebalance());
  v1::Observed failed = At(false);
  failed.mutable_moves()->set_failure("permission denied");
  observation.Add(failed);
  EXPECT_FALSE(Result().observation().has_rebalance());
  EXPECT_THAT(Result().observation().lacking(),
              testing::ElementsAre("what the rebalancer would do: permission denied"));
  v1::Observed moves = At(false);
  moves.mutable_moves()->add_moves()->set_shard(102001);
  observation.Add(moves);
  ASSERT_EQ(Result().observation().rebalance().moves_size(), 1);
}

TEST_F(ObservationTest, FaultsOfBeforeTheRunAreEvents) {
  v1::Observed nodes = Nodes();
  v1::Observed::Fault& fault = *nodes.mutable_nodes()->add_faults();
  fault.set_node(1);
  fault.set_text("does not reach n2:5432");
  observation.Add(nodes);
  ASSERT_EQ(Result().observation().events_size(), 1);
  EXPECT_EQ(Result().observation().events(0).node(), 1);
  EXPECT_EQ(Result().observation().events(0).text(), "does not reach n2:5432");
}

TEST_F(ObservationTest, NonsenseIsPassedOver) {
  Sample(7, 1, true, true);
  Unreachable(7, true);
  Rows(7, 1);
  observation.Add(v1::Observed());
  observation.Add(Nodes());
  for (int kind = 0; kind < 3; ++kind) {
    v1::Observed observed;
    if (kind == 0) observed.mutable_tracked()->set_node(7);
    if (kind == 1) observed.mutable_waits()->set_node(7);
    if (kind == 2) observed.mutable_placement()->add_relations()->set_node(7);
    observation.Add(observed);
  }
  Sample(7, 1, true, true);
  EXPECT_EQ(Result().observation().timeline_size(), 0);
}

}  // namespace
}  // namespace trunkload

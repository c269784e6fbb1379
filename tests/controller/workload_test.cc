#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/table_chunks.h"
#include "controller/planner.h"
#include "controller/workload/set_up_steps.h"
#include "controller/workload/table_load.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

v1::Setup Pgbench(uint32_t scale) {
  v1::Setup setup;
  setup.set_workload(v1::WORKLOAD_PGBENCH);
  setup.set_scale(scale);
  setup.set_loaders(4);
  setup.set_steps("dtgvp");
  setup.set_fillfactor(100);
  setup.set_partition_method(v1::PARTITION_METHOD_RANGE);
  setup.set_distribute_by(v1::DISTRIBUTE_BY_KEY);
  return setup;
}

v1::Plan PlanWith(const v1::Setup& setup) {
  v1::Plan plan;
  *plan.mutable_setup() = setup;
  return plan;
}

std::vector<std::string> Names(const std::vector<SetUpTask>& tasks) {
  std::vector<std::string> names;
  for (const SetUpTask& task : tasks) names.push_back(task.name);
  return names;
}

std::vector<std::string> Statements(const std::vector<SetUpTask>& tasks) {
  std::vector<std::string> statements;
  for (const SetUpTask& task : tasks) {
    for (const SetUpStatement& statement : task.statements) statements.push_back(statement.sql);
  }
  return statements;
}

TEST(TableLoadTest, ChunksHoldEachKeyOnce) {
  for (const auto& [rows, per_chunk] :
       std::vector<std::pair<uint64_t, uint64_t>>{{1, 1}, {10, 3}, {12, 3}, {5, 100}}) {
    v1::TableLoad load;
    load.set_rows(rows);
    load.set_rows_per_chunk(per_chunk);
    uint64_t next = 1;
    for (uint64_t chunk = 0; chunk < ChunkCount(load); ++chunk) {
      const KeyRange keys = ChunkKeys(load, chunk);
      EXPECT_EQ(keys.first, next);
      EXPECT_GE(keys.last, keys.first);
      EXPECT_LE(keys.count(), per_chunk);
      next = keys.last + 1;
    }
    EXPECT_EQ(next, rows + 1);
  }
}

// What TableLoader does with what the planner gives it.
TEST(TableLoadTest, EveryChunkIsLoadedByOneApplicationServer) {
  for (const uint32_t agents : {1, 3, 7}) {
    for (const uint32_t loaders : {1, 4, 5}) {
      v1::Setup setup = Pgbench(61);
      setup.set_loaders(loaders);
      const v1::TableLoad load = *TableLoadOf(PlanWith(setup), /*distributed=*/false);
      ASSERT_GT(ChunkCount(load), 20u);
      const v1::Plan plan = PlanOfLoad(PlanWith(setup), load, agents);
      const std::vector<std::string> names(agents, "agent");
      const auto assignments = PlanAssignments(plan, names, "run");
      ASSERT_TRUE(assignments.ok()) << assignments.status();
      std::multiset<uint64_t> chunks;
      for (const v1::Assignment& assignment : *assignments) {
        for (const v1::ApplicationServer& server : assignment.application_servers()) {
          EXPECT_EQ(server.connections(), 1);
          for (uint64_t i = 0; i < server.shares(0).transactions(); ++i) {
            chunks.insert(server.number() + i * load.loaders());
          }
        }
      }
      std::multiset<uint64_t> all;
      for (uint64_t chunk = 0; chunk < ChunkCount(load); ++chunk) all.insert(chunk);
      EXPECT_EQ(chunks, all) << agents << " agents, " << loaders << " loaders";
    }
  }
}

TEST(TableLoadTest, ChunksOfDistributedTablesAreLarge) {
  const auto rows_per_chunk = [](uint32_t scale, bool distributed) {
    v1::Setup setup = Pgbench(scale);
    setup.set_loaders(4);
    return TableLoadOf(PlanWith(setup), distributed)->rows_per_chunk();
  };
  EXPECT_EQ(rows_per_chunk(10, true), 500'000u);
  EXPECT_EQ(rows_per_chunk(10'000, true), 2'000'000u);
  EXPECT_EQ(rows_per_chunk(41, false), 41 * 100'000u / 64);
  EXPECT_EQ(rows_per_chunk(10'000, false), 250'000u);
}

TEST(TableLoadTest, OnlyWhereAgentsHaveRowsToLoad) {
  v1::Setup setup = Pgbench(2);
  EXPECT_EQ(TableLoadOf(PlanWith(setup), false)->rows(), 200'000);
  setup.set_steps("dtGvp");
  EXPECT_FALSE(TableLoadOf(PlanWith(setup), false).has_value());
  setup.set_steps("dtvp");
  EXPECT_FALSE(TableLoadOf(PlanWith(setup), false).has_value());
  v1::Setup users;
  users.set_workload(v1::WORKLOAD_USERS);
  users.set_loaders(2);
  EXPECT_FALSE(TableLoadOf(PlanWith(users), false).has_value());
  users.set_rows(7);
  EXPECT_EQ(TableLoadOf(PlanWith(users), false)->rows(), 7);
  EXPECT_FALSE(TableLoadOf(v1::Plan(), false).has_value());
}

TEST(TableLoadTest, SmallPlainTablesAreLoadedAsAWhole) {
  const auto whole = [](const v1::Setup& setup, bool distributed = false) {
    return TableLoadOf(PlanWith(setup), distributed)->whole();
  };
  v1::Setup setup = Pgbench(40);
  EXPECT_TRUE(whole(setup));
  EXPECT_EQ(ChunkCount(*TableLoadOf(PlanWith(setup), false)), 1);
  EXPECT_FALSE(whole(setup, /*distributed=*/true));
  EXPECT_FALSE(whole(Pgbench(41)));
  setup.set_partitions(2);
  EXPECT_FALSE(whole(setup));
  setup.set_partitions(0);
  setup.set_steps("g");
  EXPECT_FALSE(whole(setup)) << "whatever table is there";
  setup.set_steps("dtpfg");
  EXPECT_FALSE(whole(setup)) << "others refer to it";
  setup.set_steps("dtpgf");
  EXPECT_TRUE(whole(setup));
}

TEST(SetUpStepsTest, InTheirOrderBeforeAndAfterTheLoad) {
  EXPECT_THAT(Names(TasksBeforeLoad(Pgbench(1), false)),
              ElementsAre("drop tables", "create tables", "client-side generate"));
  EXPECT_THAT(Names(TasksAfterLoad(Pgbench(1), false)), ElementsAre("vacuum", "primary keys"));
  v1::Setup setup = Pgbench(1);
  setup.set_foreign_keys(true);
  setup.set_steps("d t p g v");
  EXPECT_THAT(Names(TasksBeforeLoad(setup, false)),
              ElementsAre("drop tables", "create tables", "primary keys", "client-side generate"));
  EXPECT_THAT(Names(TasksAfterLoad(setup, false)), ElementsAre("vacuum", "foreign keys"));
  setup.set_steps("dtgGfv");
  EXPECT_THAT(Names(TasksBeforeLoad(setup, false)),
              ElementsAre("drop tables", "create tables", "server-side generate", "foreign keys", "vacuum"));
  EXPECT_THAT(TasksAfterLoad(setup, false), IsEmpty());
}

TEST(SetUpStepsTest, BigAccountsHaveBigKeys) {
  EXPECT_THAT(Statements(TasksBeforeLoad(Pgbench(19'999), false)), Contains(HasSubstr("(aid int NOT NULL")));
  EXPECT_THAT(Statements(TasksBeforeLoad(Pgbench(20'000), false)),
              Contains(HasSubstr("(aid bigint NOT NULL")));
}

TEST(SetUpStepsTest, RangesOfPartitionsMeet) {
  v1::Setup setup = Pgbench(1);
  setup.set_partitions(3);
  const std::vector<std::string> statements = Statements(TasksBeforeLoad(setup, false));
  EXPECT_THAT(statements, Contains(HasSubstr("FROM (MINVALUE) TO (33335)")));
  EXPECT_THAT(statements, Contains(HasSubstr("FROM (33335) TO (66669)")));
  EXPECT_THAT(statements, Contains(HasSubstr("FROM (66669) TO (MAXVALUE)")));
}

TEST(SetUpStepsTest, RowsAreExpectedOfTablesThatAreLeft) {
  v1::Setup setup = Pgbench(1);
  EXPECT_EQ(RowsToExpect(setup).size(), 4u);
  for (const char* steps : {"dtgd", "dtgdt", "dtGdtp"}) {
    setup.set_steps(steps);
    EXPECT_TRUE(RowsToExpect(setup).empty()) << steps;
  }
  setup.set_steps("dtgdtg");
  EXPECT_EQ(RowsToExpect(setup).size(), 4u);
}

TEST(SetUpStepsTest, NamesOfTablespacesAreQuoted) {
  v1::Setup setup = Pgbench(1);
  setup.set_tablespace("a\"; DROP TABLE x; --");
  EXPECT_THAT(Statements(TasksBeforeLoad(setup, false)),
              Contains(HasSubstr("TABLESPACE \"a\"\"; DROP TABLE x; --\"")));
}

TEST(SetUpStepsTest, KeysHoldTheColumnThatTablesAreDistributedBy) {
  v1::Setup setup = Pgbench(1);
  EXPECT_THAT(Statements(TasksAfterLoad(setup, true)),
              Contains(HasSubstr("accounts_pkey PRIMARY KEY (aid)")));
  EXPECT_THAT(Statements(TasksBeforeLoad(setup, true)),
              Contains("SELECT create_distributed_table('pgbench_tellers', 'tid')"));
  setup.set_distribute_by(v1::DISTRIBUTE_BY_BID);
  EXPECT_THAT(Statements(TasksAfterLoad(setup, true)),
              Contains(HasSubstr("accounts_pkey PRIMARY KEY (aid, bid)")));
  EXPECT_THAT(Statements(TasksAfterLoad(setup, true)),
              Contains(HasSubstr("branches_pkey PRIMARY KEY (bid)")));
  EXPECT_THAT(Statements(TasksAfterLoad(setup, false)),
              Contains(HasSubstr("accounts_pkey PRIMARY KEY (aid)")));
  setup.set_distribute_by(v1::DISTRIBUTE_BY_REFERENCE);
  EXPECT_THAT(Statements(TasksBeforeLoad(setup, true)),
              Contains("SELECT create_reference_table('pgbench_tellers')"));
  EXPECT_THAT(Statements(TasksBeforeLoad(setup, false)), Not(Contains(HasSubstr("create_"))));
}

}  // namespace
}  // namespace trunkload

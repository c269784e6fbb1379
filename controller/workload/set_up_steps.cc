#include "controller/workload/set_up_steps.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/table_chunks.h"
#include "controller/workload/table_load.h"

namespace trunkload {
namespace {

// From here on, 100,000 accounts for each branch are more than an int counts.
constexpr uint32_t kScaleOfBigints = 20'000;

std::string Quoted(const std::string& identifier) {
  return absl::StrCat("\"", absl::StrReplaceAll(identifier, {{"\"", "\"\""}}), "\"");
}

// The tables of workload pgbench: what makes, fills and finishes them, by the letters of setup.steps.
class PgbenchTables {
 public:
  PgbenchTables(const v1::Setup& setup, bool distributed)
      : setup_(setup),
        distributed_(distributed),
        by_bid_(distributed && setup.distribute_by() == v1::DISTRIBUTE_BY_BID) {
    for (const char step : setup.steps()) {
      if (step != ' ') steps_ += step;
    }
    if (setup.foreign_keys() && steps_.find('f') == std::string::npos) steps_ += 'f';
    fill_ = steps_.find_last_of("gG");
  }

  std::vector<SetUpTask> Before() const { return Tasks(0, AgentsFill() ? fill_ + 1 : steps_.size()); }
  std::vector<SetUpTask> After() const {
    return Tasks(AgentsFill() ? fill_ + 1 : steps_.size(), steps_.size());
  }

 private:
  bool AgentsFill() const { return fill_ != std::string::npos && steps_[fill_] == 'g'; }

  std::vector<SetUpTask> Tasks(size_t begin, size_t end) const {
    std::vector<SetUpTask> tasks;
    for (size_t i = begin; i < end; ++i) {
      const char step = steps_[i];
      if (step == 'd') tasks.push_back(Drop());
      if (step == 't') tasks.push_back(Create());
      if (step == 'v') tasks.push_back(Vacuum());
      if (step == 'p') tasks.push_back(PrimaryKeys());
      if (step == 'f') tasks.push_back(ForeignKeys());
      // What an earlier one fills, the last one empties.
      if (i == fill_) tasks.push_back(Fill(step == 'G'));
    }
    return tasks;
  }

  static SetUpTask Drop() {
    return {"drop tables",
            {{"drop the tables of pgbench",
              "DROP TABLE IF EXISTS pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers"}}};
  }

  SetUpTask Create() const {
    const std::string aid = setup_.scale() >= kScaleOfBigints ? "bigint" : "int";
    const bool partitioned = setup_.partitions() > 0;
    SetUpTask task{"create tables", {}};
    CreateTable("pgbench_history",
                absl::StrCat("tid int, bid int, aid ", aid, ", delta int, mtime timestamp, filler char(22)"),
                "", task);
    CreateTable("pgbench_tellers", "tid int NOT NULL, bid int, tbalance int, filler char(84)", Storage(),
                task);
    CreateTable(
        "pgbench_accounts", absl::StrCat("aid ", aid, " NOT NULL, bid int, abalance int, filler char(84)"),
        partitioned ? absl::StrCat(" PARTITION BY ", ByRange() ? "range" : "hash", " (aid)") : Storage(),
        task);
    CreateTable("pgbench_branches", "bid int NOT NULL, bbalance int, filler char(88)", Storage(), task);
    for (uint32_t i = 0; i < setup_.partitions(); ++i) CreatePartition(i, task);
    if (distributed_) Distribute(task);
    return task;
  }

  void CreateTable(const std::string& name, const std::string& columns, const std::string& options,
                   SetUpTask& task) const {
    const std::string tablespace =
        setup_.tablespace().empty() ? "" : absl::StrCat(" TABLESPACE ", Quoted(setup_.tablespace()));
    task.statements.push_back({absl::StrCat("make the table ", name),
                               absl::StrCat(CreateWord(), name, " (", columns, ")", options, tablespace)});
  }

  void CreatePartition(uint32_t index, SetUpTask& task) const {
    const std::string name = absl::StrCat("pgbench_accounts_", index + 1);
    std::string values = absl::StrCat("WITH (MODULUS ", setup_.partitions(), ", REMAINDER ", index, ")");
    if (ByRange()) {
      const uint64_t rows = setup_.scale() * kAccountsPerBranch;
      const uint64_t size = (rows + setup_.partitions() - 1) / setup_.partitions();
      const bool last = index + 1 == setup_.partitions();
      values = absl::StrCat("FROM (", index == 0 ? "MINVALUE" : absl::StrCat(index * size + 1), ") TO (",
                            last ? "MAXVALUE" : absl::StrCat((index + 1) * size + 1), ")");
    }
    task.statements.push_back(
        {absl::StrCat("make the partition ", name),
         absl::StrCat(CreateWord(), name, " PARTITION OF pgbench_accounts FOR VALUES ", values, Storage())});
  }

  void Distribute(SetUpTask& task) const {
    const bool reference = setup_.distribute_by() == v1::DISTRIBUTE_BY_REFERENCE;
    for (const std::string table : {"branches", "tellers"}) {
      const std::string column = by_bid_ || table == "branches" ? "bid" : "tid";
      const std::string name = absl::StrCat("'pgbench_", table, "'");
      Distribute(table,
                 reference ? absl::StrCat("create_reference_table(", name, ")")
                           : absl::StrCat("create_distributed_table(", name, ", '", column, "')"),
                 task);
    }
    for (const std::string table : {"accounts", "history"}) {
      const std::string with = by_bid_              ? ", colocate_with => 'pgbench_branches'"
                               : table == "history" ? ", colocate_with => 'pgbench_accounts'"
                                                    : "";
      Distribute(table,
                 absl::StrCat("create_distributed_table('pgbench_", table, "', '", by_bid_ ? "bid" : "aid",
                              "'", with, ")"),
                 task);
    }
  }

  static void Distribute(const std::string& table, const std::string& call, SetUpTask& task) {
    task.statements.push_back({absl::StrCat("distribute the table pgbench_", table,
                                            " (setup.distribution: none makes a plain one)"),
                               absl::StrCat("SELECT ", call)});
  }

  SetUpTask Fill(bool by_server) const {
    const uint32_t scale = setup_.scale();
    const std::string insert = "INSERT INTO pgbench_";
    SetUpTask task{
        by_server ? "server-side generate" : "client-side generate",
        {{"start to fill the tables", "BEGIN"},
         {"empty the tables",
          "TRUNCATE pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers"},
         {"fill the table pgbench_branches",
          absl::StrCat(insert, "branches (bid, bbalance) SELECT bid, 0 FROM generate_series(1, ", scale,
                       ") AS bid")},
         {"fill the table pgbench_tellers",
          absl::StrCat(insert, "tellers (tid, bid, tbalance) SELECT tid, (tid - 1) / ", kTellersPerBranch,
                       " + 1, 0 FROM generate_series(1, ", scale * kTellersPerBranch, ") AS tid")}}};
    if (by_server) {
      task.statements.push_back(
          {"fill the table pgbench_accounts",
           absl::StrCat(insert, "accounts (aid, bid, abalance, filler) SELECT aid, (aid - 1) / ",
                        kAccountsPerBranch, " + 1, 0, '' FROM generate_series(1, ",
                        scale * kAccountsPerBranch, ") AS aid")});
    }
    task.statements.push_back({"fill the tables", "COMMIT"});
    return task;
  }

  static SetUpTask Vacuum() {
    SetUpTask task{"vacuum", {}};
    for (const std::string table : {"branches", "tellers", "accounts", "history"}) {
      task.statements.push_back(
          {absl::StrCat("vacuum the table pgbench_", table), absl::StrCat("VACUUM ANALYZE pgbench_", table)});
    }
    return task;
  }

  SetUpTask PrimaryKeys() const {
    const std::string tablespace =
        setup_.index_tablespace().empty()
            ? ""
            : absl::StrCat(" USING INDEX TABLESPACE ", Quoted(setup_.index_tablespace()));
    // Named as PostgreSQL would: Citus before 11.2 names none.
    SetUpTask task{"primary keys", {}};
    for (const auto& [table, key] : {std::pair("branches", "bid"), {"tellers", "tid"}, {"accounts", "aid"}}) {
      // Citus wants the column that the table is distributed by in it.
      const bool add_bid = by_bid_ && std::string(key) != "bid";
      task.statements.push_back(
          {absl::StrCat("make the primary key of pgbench_", table),
           absl::StrCat("ALTER TABLE pgbench_", table, " ADD CONSTRAINT pgbench_", table,
                        "_pkey PRIMARY KEY (", key, add_bid ? ", bid" : "", ")", tablespace)});
    }
    return task;
  }

  static SetUpTask ForeignKeys() {
    SetUpTask task{"foreign keys", {}};
    const auto add = [&task](const std::string& table, const std::string& column,
                             const std::string& referenced) {
      task.statements.push_back(
          {absl::StrCat("make a foreign key of pgbench_", table),
           absl::StrCat("ALTER TABLE pgbench_", table, " ADD CONSTRAINT pgbench_", table, "_", column,
                        "_fkey FOREIGN KEY (", column, ") REFERENCES pgbench_", referenced)});
    };
    add("tellers", "bid", "branches");
    add("accounts", "bid", "branches");
    add("history", "bid", "branches");
    add("history", "tid", "tellers");
    add("history", "aid", "accounts");
    return task;
  }

  bool ByRange() const { return setup_.partition_method() == v1::PARTITION_METHOD_RANGE; }
  std::string CreateWord() const { return setup_.unlogged() ? "CREATE UNLOGGED TABLE " : "CREATE TABLE "; }
  std::string Storage() const { return absl::StrCat(" WITH (fillfactor=", setup_.fillfactor(), ")"); }

  const v1::Setup& setup_;
  const bool distributed_;
  const bool by_bid_;
  std::string steps_;
  // Where in steps_ the tables are filled; npos: nowhere.
  size_t fill_;
};

std::vector<SetUpTask> CreateUsers(bool distributed) {
  SetUpTask task{
      "create tables",
      {{"start to make tables", "BEGIN"},
       {"make the table users",
        absl::StrCat("CREATE TABLE users (id bigint NOT NULL, name text NOT NULL, email text NOT NULL, "
                     "created_at timestamptz NOT NULL DEFAULT now()); COMMENT ON TABLE users IS '",
                     kTableMark, "; the next run that sets this workload up drops it'")}}};
  if (distributed) {
    task.statements.push_back({"distribute the table users (setup.distribution: none makes a plain one)",
                               "SELECT create_distributed_table('users', 'id')"});
  }
  task.statements.push_back({"make the table users", "COMMIT"});
  return {std::move(task)};
}

// Its rows come first: an index that is there already would take each by itself.
std::vector<SetUpTask> FinishUsers(uint64_t rows) {
  std::vector<SetUpTask> tasks{
      {"primary keys",
       {{"make the primary key of users", "ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY (id)"}}}};
  if (rows > 0) tasks.push_back({"vacuum", {{"vacuum the table users", "VACUUM ANALYZE users"}}});
  return tasks;
}

}  // namespace

std::vector<SetUpTask> TasksBeforeLoad(const v1::Setup& setup, bool distributed) {
  if (setup.workload() == v1::WORKLOAD_PGBENCH) return PgbenchTables(setup, distributed).Before();
  std::vector<SetUpTask> tasks = CreateUsers(distributed);
  if (setup.rows() == 0) {
    for (SetUpTask& task : FinishUsers(0)) tasks.push_back(std::move(task));
  }
  return tasks;
}

std::vector<SetUpTask> TasksAfterLoad(const v1::Setup& setup, bool distributed) {
  if (setup.workload() == v1::WORKLOAD_PGBENCH) return PgbenchTables(setup, distributed).After();
  return setup.rows() > 0 ? FinishUsers(setup.rows()) : std::vector<SetUpTask>();
}

std::vector<std::string> TablesOf(const v1::Setup& setup) {
  if (setup.workload() == v1::WORKLOAD_USERS) return {"users"};
  if (setup.workload() != v1::WORKLOAD_PGBENCH) return {};
  return {"pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history"};
}

std::vector<ExpectedRows> RowsToExpect(const v1::Setup& setup) {
  const uint64_t rows = RowsOf(setup);
  // Tables that are dropped, or made anew, after they were filled.
  const bool gone = setup.workload() == v1::WORKLOAD_PGBENCH &&
                    setup.steps().find_first_of("dt", setup.steps().find_last_of("gG")) != std::string::npos;
  if (rows == 0 || gone) return {};
  if (setup.workload() != v1::WORKLOAD_PGBENCH) return {{"users", rows}};
  return {{"pgbench_accounts", rows},
          {"pgbench_branches", setup.scale()},
          {"pgbench_tellers", setup.scale() * kTellersPerBranch},
          {"pgbench_history", 0}};
}

}  // namespace trunkload

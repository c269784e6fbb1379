#include "controller/checks/check_tables.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "controller/plan/check_scripts.h"

namespace trunkload {
namespace {

struct Table {
  const char* name;
  v1::Check check;
  const char* columns;
  // What Citus distributes it by; none: it is a reference table.
  const char* column;
  // The one it lies beside.
  const char* beside;
};

// Those that hold operations have no key: what is there twice is to be found, not refused.
constexpr Table kTables[] = {
    {"trunkload_accounts", v1::CHECK_BANK,
     "branch bigint NOT NULL, account bigint NOT NULL, balance bigint NOT NULL, PRIMARY KEY (branch, "
     "account)",
     "branch", nullptr},
    {"trunkload_entries", v1::CHECK_BANK,
     "branch bigint NOT NULL, account bigint NOT NULL, amount bigint NOT NULL, writer bigint NOT NULL, "
     "operation bigint NOT NULL, at timestamptz NOT NULL DEFAULT now()",
     "branch", "trunkload_accounts"},
    {"trunkload_ledger", v1::CHECK_LEDGER,
     "writer bigint NOT NULL, operation bigint NOT NULL, at timestamptz NOT NULL DEFAULT now()", "writer",
     nullptr},
    {"trunkload_counters", v1::CHECK_COUNTER, "counter bigint PRIMARY KEY, value bigint NOT NULL", "counter",
     nullptr},
    {"trunkload_increments", v1::CHECK_COUNTER,
     "counter bigint NOT NULL, value bigint NOT NULL, writer bigint NOT NULL, operation bigint NOT NULL, "
     "at timestamptz NOT NULL DEFAULT now()",
     "counter", "trunkload_counters"},
    {"trunkload_lists", v1::CHECK_APPEND_LIST, "list bigint PRIMARY KEY, items text[] NOT NULL", "list",
     nullptr},
    {"trunkload_registers", v1::CHECK_READ_YOUR_WRITES, "register bigint PRIMARY KEY, value bigint NOT NULL",
     "register", nullptr},
    {"trunkload_rates", v1::CHECK_REFERENCE_TABLES, "rate bigint PRIMARY KEY, value bigint NOT NULL", nullptr,
     nullptr},
};

std::string Distribute(const Table& table) {
  if (table.column == nullptr) return absl::StrCat("SELECT create_reference_table('", table.name, "')");
  return absl::StrCat("SELECT create_distributed_table('", table.name, "', '", table.column, "'",
                      table.beside == nullptr ? "" : absl::StrCat(", colocate_with => '", table.beside, "'"),
                      ")");
}

void Fill(v1::Check check, const v1::CheckOptions& options, SetUpTask& task) {
  if (check == v1::CHECK_BANK) {
    task.statements.push_back(
        {"fill the table trunkload_accounts",
         absl::StrCat("INSERT INTO trunkload_accounts SELECT branch, account, ", kFirstBalance,
                      " FROM generate_series(1, ", 2 * options.branches(), ") AS branch, generate_series(1, ",
                      options.accounts(), ") AS account")});
  } else if (check == v1::CHECK_COUNTER) {
    task.statements.push_back({"fill the table trunkload_counters",
                               absl::StrCat("INSERT INTO trunkload_counters SELECT counter, 0 FROM "
                                            "generate_series(1, ",
                                            options.counters(), ") AS counter")});
  } else if (check == v1::CHECK_REFERENCE_TABLES) {
    task.statements.push_back(
        {"fill the table trunkload_rates", absl::StrCat("INSERT INTO trunkload_rates SELECT rate, 0 FROM "
                                                        "generate_series(1, ",
                                                        options.rates(), ") AS rate")});
  }
}

}  // namespace

std::vector<std::string> TablesOf(v1::Check check) {
  std::vector<std::string> tables;
  for (const Table& table : kTables) {
    if (table.check == check) tables.emplace_back(table.name);
  }
  return tables;
}

SetUpTask CheckTablesTask(const v1::Plan& plan, const std::string& run_id, bool distributed) {
  SetUpTask task{"tables of checks", {}};
  for (const Table& table : kTables) {
    if (std::find(plan.checks().begin(), plan.checks().end(), table.check) == plan.checks().end()) continue;
    const std::string what = absl::StrCat("make the table ", table.name);
    task.statements.push_back({what, absl::StrCat("CREATE TABLE ", table.name, " (", table.columns, ")")});
    task.statements.push_back(
        {what, absl::StrCat("COMMENT ON TABLE ", table.name, " IS '", kTableMark, RunMark(run_id), "'")});
    if (distributed) {
      task.statements.push_back(
          {absl::StrCat("distribute the table ", table.name, " (setup.distribution: none makes a plain one)"),
           Distribute(table)});
    }
  }
  for (const int check : plan.checks()) Fill(static_cast<v1::Check>(check), plan.check_options(), task);
  return task;
}

std::string RunMark(const std::string& run_id) {
  return absl::StrCat(", for the checks of run ", run_id);
}

}  // namespace trunkload

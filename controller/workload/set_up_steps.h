#pragma once

#include <string>
#include <vector>

#include "trunkload/v1/plan.pb.h"

namespace trunkload {

struct SetUpStatement {
  std::string what;  // "make the table users": what it does, for messages
  std::string sql;
};

// A part of setting tables up that is shown and timed by itself.
struct SetUpTask {
  std::string name;  // as in SetUpStep of result.proto
  std::vector<SetUpStatement> statements;
};

// What tells our table users from one of the user's: its comment starts so.
inline constexpr char kTableMark[] = "made by Trunkload";

// What is done to a workload's tables by one connection, before the agents load rows, and after; where they
// load none, the first holds all of it. Dropping the table users is not among it. `distributed`: new tables
// are distributed by Citus. The setup has its defaults and was checked.
std::vector<SetUpTask> TasksBeforeLoad(const v1::Setup& setup, bool distributed);
std::vector<SetUpTask> TasksAfterLoad(const v1::Setup& setup, bool distributed);

// The tables of the workload, the one that agents load first; none without a workload.
std::vector<std::string> TablesOf(const v1::Setup& setup);

// How many rows each table of the workload has to hold once it is set up, the one that agents load first;
// none where the setup fills none.
struct ExpectedRows {
  std::string table;
  uint64_t rows;
};
std::vector<ExpectedRows> RowsToExpect(const v1::Setup& setup);

}  // namespace trunkload

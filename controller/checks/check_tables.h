#pragma once

#include <string>
#include <vector>

#include "controller/workload/set_up_steps.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// The tables of a check, in the order in which they are made; see docs/checks.md.
std::vector<std::string> TablesOf(v1::Check check);

// Makes and fills the tables of a plan's checks; `distributed`: by Citus. Those of an earlier run have been
// dropped. Each table's comment says which run it is of.
SetUpTask CheckTablesTask(const v1::Plan& plan, const std::string& run_id, bool distributed);

// What the comment of a table of that run ends with.
std::string RunMark(const std::string& run_id);

}  // namespace trunkload

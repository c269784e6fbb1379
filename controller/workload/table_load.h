#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// Rows of the table that is filled in the end, whoever fills it: accounts or users. 0: it stays empty.
uint64_t RowsOf(const v1::Setup& setup);
// How many the largest table has that is set up, whoever has filled it.
uint64_t RowsOfLargestTable(const v1::Setup& setup);

// What agents have to load before a plan's first phase; none where the plan asks for no rows from them.
// `distributed`: Citus distributes the table, which changes how they load it but not what.
std::optional<v1::TableLoad> TableLoadOf(const v1::Plan& plan, bool distributed);
bool AgentsLoad(const v1::Plan& plan);

// That as a plan of its own, for `agents` agents: one phase, in which each transaction is a chunk. Which
// application server loads a chunk follows from the plan. PlanAssignments takes it.
v1::Plan PlanOfLoad(const v1::Plan& plan, const v1::TableLoad& load, size_t agents);

}  // namespace trunkload

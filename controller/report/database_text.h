#pragma once

#include <string>

#include "controller/report/page.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What the server is; "" where that is not known.
std::string ServerText(const v1::ServerInfo& server);

// Whether the database was seen to have no Citus, and what that means for the report.
bool IsWithoutCitus(const v1::Observation& observation);
inline constexpr char kWithoutCitus[] =
    "no Citus in the target's database: shards, workers, routes and tenants do not apply; rows, work and "
    "connections are those of one server";

// What the database's nodes did in a phase; nothing where they were not observed.
void AddNodeWork(const v1::Observation& observation, const v1::PhaseResult& phase, Page& page);

// How a table spreads over the nodes.
void AddSpread(const v1::Observation& observation, const v1::TableSpread& table, Page& page);

// How tables spread over the nodes, what happened to these, and what could not be seen.
void AddObservation(const v1::RunResult& result, Page& page);

}  // namespace trunkload

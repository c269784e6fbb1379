#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controller/citus/cluster_queries.h"
#include "trunkload/v1/observation.pb.h"

namespace trunkload {

// The SQL that the observer asks a node with about itself. Each query gives one text in JSON, with the names
// of observation.proto's fields. They name all of PostgreSQL's own with its schema, change no setting, and
// need no privilege: what a role may not see is left out by the server.

// The connections of the observer call themselves so.
inline constexpr char kObserverName[] = "trunkload-observer";
// As agents call theirs, where the target names no application_name.
inline constexpr char kAgentName[] = "trunkload-agent";

// Settings worth knowing, as one DatabaseNode.
std::string SettingsQuery();
// A sample, with those of the relations that are on the node: as Observed.Sample.
std::string SampleQuery(const ServerObjects& objects, const std::vector<v1::Relation>& relations,
                        uint32_t node);
// Who waits for whom, as Observed.Waits.
std::string WaitsQuery();
// The same query, run on a node by the coordinator.
std::string ThroughCoordinator(const v1::DatabaseNode& node, const std::string& query);
// How many rows each relation of the node has, as Observed.Rows.
std::string CountQuery(const std::vector<v1::Relation>& relations, uint32_t node);

// What the server has counted where tracking is on, as Observed.Tracked. `schema`: of the extension
// pg_stat_statements, quoted. The last two need Citus, and the last pg_monitor.
std::string StatementsQuery(const std::string& schema);
std::string RoutesQuery();
std::string TenantsQuery();
// Gives that schema; nothing where the database does not have the extension.
std::string StatementsSchemaQuery();

}  // namespace trunkload

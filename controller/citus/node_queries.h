#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "trunkload/v1/observation.pb.h"

namespace trunkload {

// The SQL that the observer asks a server with, and what its answers mean. Each query gives one text in JSON,
// with the names of observation.proto's fields. They name all of PostgreSQL's own with its schema, change no
// setting, and need no privilege: what a role may not see is left out by the server.

// The connections of the observer call themselves so.
inline constexpr char kObserverName[] = "trunkload-observer";
// As agents call theirs, where the target names no application_name.
inline constexpr char kAgentName[] = "trunkload-agent";

// What a server has: probed, never concluded from its version.
struct ServerObjects {
  bool citus = false;
  bool counters = false;  // citus_stat_counters
};
// Gives two texts, "t" or "f" each, joined by a space.
std::string ServerObjectsQuery();
// INVALID_ARGUMENT where that is not what came.
absl::StatusOr<ServerObjects> ParseServerObjects(absl::string_view text);

// Two texts joined by a space: the process id of the backend that answers, and HOST:PORT of its server, empty
// where that was reached by a socket of its machine.
std::string BackendQuery();

// All active nodes, the one that is asked first, as Observed.Nodes; on a server without Citus that one alone,
// without a name.
std::string NodesQuery(const ServerObjects& objects);
// The tables, in the target's search_path, or all that are the user's where there are none; their shards, and
// where those are: as Observed.Nodes. At most kMostRelations.
inline constexpr int kMostRelations = 4000;
std::string RelationsQuery(const ServerObjects& objects, const std::vector<std::string>& tables);
// Settings worth knowing, as one DatabaseNode.
std::string SettingsQuery();
// A sample, with those of the relations that are on the node: as Observed.Sample.
std::string SampleQuery(const ServerObjects& objects, const std::vector<v1::Relation>& relations,
                        uint32_t node);
// The same query, run on a node by the coordinator.
std::string ThroughCoordinator(const v1::DatabaseNode& node, const std::string& query);
// How many rows each relation of the node has, as Observed.Rows.
std::string CountQuery(const std::vector<v1::Relation>& relations, uint32_t node);

// Which shards of hash-distributed tables whole-number keys are in, as Observed.Keys; to be asked of the
// target.
std::string KeysQuery(const std::vector<v1::Relation>& relations, const std::vector<int64_t>& keys);

// INVALID_ARGUMENT where the text is not such a message; what it has besides is passed over.
absl::StatusOr<v1::Observed::Nodes> ParseNodes(absl::string_view json);
absl::StatusOr<v1::Observed::Sample> ParseSample(absl::string_view json);
absl::StatusOr<v1::Observed::Rows> ParseRows(absl::string_view json);
absl::StatusOr<v1::Observed::Keys> ParseKeys(absl::string_view json);
absl::StatusOr<v1::DatabaseNode> ParseSettings(absl::string_view json);

}  // namespace trunkload

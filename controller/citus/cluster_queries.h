#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "trunkload/v1/observation.pb.h"

namespace trunkload {

// The SQL that the observer asks one node with about all of them. As node_queries.h has it: each query gives
// one text in JSON, names all of PostgreSQL's own with its schema, and needs no privilege.

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
// without a name. Indexes of nodes below are those of this order.
std::string NodesQuery(const ServerObjects& objects);
// The tables, in the target's search_path, or all that are the user's where there are none; their shards, and
// where those are: as Observed.Nodes. At most kMostRelations.
inline constexpr int kMostRelations = 4000;
std::string RelationsQuery(const ServerObjects& objects, const std::vector<std::string>& tables);
// Which shards of hash-distributed tables whole-number keys are in, as Observed.Keys.
std::string KeysQuery(const std::vector<v1::Relation>& relations, const std::vector<int64_t>& keys);
// Nodes of Citus that do not reach each other, as Observed.Nodes: each asks all others.
std::string FaultsQuery();
// What Citus' rebalancer would do, as Observed.Moves; to be asked of the coordinator.
std::string MovesQuery();

}  // namespace trunkload

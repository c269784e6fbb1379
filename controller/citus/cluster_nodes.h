#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "controller/citus/cluster_queries.h"
#include "controller/database.h"
#include "trunkload/v1/observation.pb.h"

namespace trunkload {

// The servers behind a target.
struct ClusterNodes {
  ServerObjects objects;
  // With role, name and holds_shards; the first is the one that the target leads to. At least one.
  v1::Observed::Nodes nodes;
  // A pooler stands before the target: its sessions are the load's.
  bool pooled = false;
};

// Asks the target. Its errors begin with "cannot " + what; FAILED_PRECONDITION where nodes can't be told.
absl::StatusOr<ClusterNodes> FindClusterNodes(const std::string& what, Database& target);

}  // namespace trunkload

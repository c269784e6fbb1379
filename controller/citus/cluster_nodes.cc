#include "controller/citus/cluster_nodes.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "controller/citus/json_answer.h"

namespace trunkload {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);

}  // namespace

absl::StatusOr<ClusterNodes> FindClusterNodes(const std::string& what, Database& target) {
  const auto ask = [&](const std::string& query) { return target.ReadValue(what, query, kTimeout); };
  const absl::StatusOr<std::string> has = ask(ServerObjectsQuery());
  if (!has.ok()) return has.status();
  const absl::StatusOr<ServerObjects> objects = ParseServerObjects(*has);
  if (!objects.ok()) return objects.status();
  const absl::StatusOr<std::string> json = ask(NodesQuery(*objects));
  if (!json.ok()) return json.status();
  absl::StatusOr<v1::Observed::Nodes> nodes = ParseAnswer<v1::Observed::Nodes>(*json);
  if (!nodes.ok()) return nodes.status();
  if (nodes->nodes().empty())
    return absl::FailedPreconditionError(absl::StrCat("cannot ", what, ": it names no nodes"));
  const absl::StatusOr<std::string> backend = ask(BackendQuery());
  if (!backend.ok()) return backend.status();
  const std::pair<std::string, std::string> pid_and_address =
      absl::StrSplit(*backend, absl::MaxSplits(' ', 1));
  ClusterNodes found{.objects = *objects,
                     .nodes = *std::move(nodes),
                     .pooled = pid_and_address.first != absl::StrCat(target.backend_pid())};
  v1::DatabaseNode& first = *found.nodes.mutable_nodes(0);
  if (!first.name().empty()) return found;
  first.set_name(found.pooled ? pid_and_address.second : target.server());
  if (first.name().empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot ", what, ": it is behind a pooler, on whose machine it is reached by a socket alone"));
  }
  return found;
}

}  // namespace trunkload

#include "controller/citus/observer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/duration.h"
#include "controller/citus/json_answer.h"
#include "controller/citus/node_queries.h"
#include "controller/database.h"
#include "controller/workload/set_up_steps.h"

namespace trunkload {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr absl::Duration kFaultsTimeout = absl::Seconds(3);

}  // namespace

Observer::Observer(v1::Plan plan, Sink sink)
    : plan_(std::move(plan)), sink_(std::move(sink)), thread_([this] { Discover(); }) {}

Observer::~Observer() {
  Cancel();
  thread_.join();
}

void Observer::Read(bool tracked) {
  absl::MutexLock lock(&mutex_);
  read_ = nodes_.empty();
  tracked_ = tracked;
  for (const auto& node : nodes_) node->Read(tracked);
}

void Observer::ReadLast(const std::vector<int64_t>& keys) {
  absl::MutexLock lock(&mutex_);
  keys_ = keys;
  read_last_ = nodes_.empty();
  for (const auto& node : nodes_) node->ReadLast(keys);
}

void Observer::Cancel() {
  cancellation_.Cancel();
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  for (const auto& node : nodes_) node->Cancel();
}

void Observer::Discover() {
  const absl::StatusOr<ClusterNodes> found = FindNodes();
  v1::Observed observed;
  if (!found.ok()) {
    if (absl::IsCancelled(found.status())) return;
    observed.set_failure(std::string(found.status().message()));
    sink_(std::move(observed));
    return;
  }
  *observed.mutable_nodes() = found->nodes;
  sink_(std::move(observed));
  Start(*found);
}

absl::StatusOr<ClusterNodes> Observer::FindNodes() {
  const std::string what = "observe the database";
  absl::StatusOr<std::unique_ptr<Database>> database =
      Database::Connect(plan_.target(), cancellation_, {.application_name = kObserverName});
  if (!database.ok()) return database.status();
  absl::StatusOr<ClusterNodes> found = FindClusterNodes(what, **database);
  if (!found.ok()) return found;

  const absl::StatusOr<std::string> of_tables =
      (*database)->ReadValue(what, RelationsQuery(found->objects, TablesOf(plan_.setup())), kTimeout);
  if (!of_tables.ok()) return of_tables.status();
  absl::StatusOr<v1::Observed::Nodes> relations = ParseAnswer<v1::Observed::Nodes>(*of_tables);
  if (!relations.ok()) return relations.status();
  if (relations->relations_size() == kMostRelations) {
    found->nodes.add_lacking(
        absl::StrCat("only the first ", kMostRelations, " tables and shards are observed"));
  }
  *found->nodes.mutable_relations() = std::move(*relations->mutable_relations());
  if (!found->objects.citus) return found;
  // Nodes that don't answer hold this up; whether they do is found out in any case.
  const absl::StatusOr<std::string> of_faults = (*database)->ReadValue(what, FaultsQuery(), kFaultsTimeout);
  const absl::StatusOr<v1::Observed::Nodes> faults =
      of_faults.ok() ? ParseAnswer<v1::Observed::Nodes>(*of_faults) : of_faults.status();
  if (absl::IsCancelled(faults.status())) return faults.status();
  if (faults.ok()) {
    *found->nodes.mutable_faults() = faults->faults();
  } else {
    found->nodes.add_lacking(absl::StrCat("whether nodes reach each other: ", faults.status().message()));
  }
  return found;
}

void Observer::Start(const ClusterNodes& found) {
  absl::MutexLock lock(&mutex_);
  if (cancelled_) return;
  const v1::ObserverOptions& options = plan_.observer();
  for (int i = 0; i < found.nodes.nodes_size(); ++i) {
    NodeObserver::Task task{.target = plan_.target(),
                            .number = static_cast<uint32_t>(i),
                            .node = found.nodes.nodes(i),
                            .server = i > 0 || found.pooled ? found.nodes.nodes(i).name() : "",
                            .through_target = i > 0 && !found.pooled,
                            .objects = found.objects,
                            .relations = {found.nodes.relations().begin(), found.nodes.relations().end()},
                            .pooled = found.pooled,
                            .relations_query = i == 0 && found.objects.citus
                                                   ? RelationsQuery(found.objects, TablesOf(plan_.setup()))
                                                   : "",
                            .interval = FromProto(options.interval()),
                            .count_limit = FromProto(options.count_limit())};
    nodes_.push_back(std::make_unique<NodeObserver>(
        std::move(task), [this](v1::Observed observed) { sink_(std::move(observed)); }));
    if (read_) nodes_.back()->Read(tracked_);
    if (read_last_) nodes_.back()->ReadLast(keys_);
  }
}

}  // namespace trunkload

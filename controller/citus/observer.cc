#include "controller/citus/observer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/duration.h"
#include "controller/database.h"
#include "controller/workload/set_up_steps.h"

namespace trunkload {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);

}  // namespace

Observer::Observer(v1::Plan plan, Sink sink)
    : plan_(std::move(plan)), sink_(std::move(sink)), thread_([this] { Discover(); }) {}

Observer::~Observer() {
  Cancel();
  thread_.join();
}

void Observer::Read() {
  absl::MutexLock lock(&mutex_);
  read_ = nodes_.empty();
  for (const auto& node : nodes_) node->Read();
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
  const absl::StatusOr<Found> found = FindNodes();
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

absl::StatusOr<Observer::Found> Observer::FindNodes() {
  const std::string what = "observe the database";
  absl::StatusOr<std::unique_ptr<Database>> database =
      Database::Connect(plan_.target(), cancellation_, {.application_name = kObserverName});
  if (!database.ok()) return database.status();
  const auto ask = [&](const std::string& query) { return (*database)->ReadValue(what, query, kTimeout); };

  const absl::StatusOr<std::string> has = ask(ServerObjectsQuery());
  if (!has.ok()) return has.status();
  const absl::StatusOr<ServerObjects> objects = ParseServerObjects(*has);
  if (!objects.ok()) return objects.status();
  const absl::StatusOr<std::string> json = ask(NodesQuery(*objects));
  if (!json.ok()) return json.status();
  absl::StatusOr<v1::Observed::Nodes> nodes = ParseNodes(*json);
  if (!nodes.ok()) return nodes.status();
  if (nodes->nodes().empty())
    return absl::FailedPreconditionError("cannot observe the database: it names no nodes");
  const absl::StatusOr<std::string> backend = ask(BackendQuery());
  if (!backend.ok()) return backend.status();
  const std::pair<std::string, std::string> pid_and_address =
      absl::StrSplit(*backend, absl::MaxSplits(' ', 1));
  Found found{.nodes = *std::move(nodes),
              .objects = *objects,
              .pooled = pid_and_address.first != absl::StrCat((*database)->backend_pid())};
  v1::DatabaseNode& first = *found.nodes.mutable_nodes(0);
  if (found.pooled) {
    if (first.name().empty()) first.set_name(pid_and_address.second);
    if (first.name().empty())
      return absl::FailedPreconditionError(
          "cannot observe the database: it is behind a pooler, on whose machine it is reached by a socket "
          "alone");
  } else if (first.name().empty()) {
    first.set_name((*database)->server());
  }

  const absl::StatusOr<std::string> of_tables = ask(RelationsQuery(*objects, TablesOf(plan_.setup())));
  if (!of_tables.ok()) return of_tables.status();
  absl::StatusOr<v1::Observed::Nodes> relations = ParseNodes(*of_tables);
  if (!relations.ok()) return relations.status();
  if (relations->relations_size() == kMostRelations) {
    found.nodes.add_lacking(
        absl::StrCat("only the first ", kMostRelations, " tables and shards are observed"));
  }
  *found.nodes.mutable_relations() = std::move(*relations->mutable_relations());
  return found;
}

void Observer::Start(const Found& found) {
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
                            .interval = FromProto(options.interval()),
                            .count_limit = FromProto(options.count_limit())};
    nodes_.push_back(std::make_unique<NodeObserver>(
        std::move(task), [this](v1::Observed observed) { sink_(std::move(observed)); }));
    if (read_) nodes_.back()->Read();
    if (read_last_) nodes_.back()->ReadLast(keys_);
  }
}

}  // namespace trunkload

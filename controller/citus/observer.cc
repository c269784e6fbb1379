#include "controller/citus/observer.h"

#include <utility>

#include "absl/strings/str_cat.h"
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
  ServerObjects objects;
  absl::StatusOr<v1::Observed::Nodes> nodes = FindNodes(objects);
  v1::Observed observed;
  if (!nodes.ok()) {
    if (absl::IsCancelled(nodes.status())) return;
    observed.set_failure(std::string(nodes.status().message()));
    sink_(std::move(observed));
    return;
  }
  *observed.mutable_nodes() = *nodes;
  sink_(std::move(observed));
  Start(*nodes, objects);
}

absl::StatusOr<v1::Observed::Nodes> Observer::FindNodes(ServerObjects& objects) {
  const std::string what = "observe the database";
  absl::StatusOr<std::unique_ptr<Database>> database =
      Database::Connect(plan_.target(), cancellation_, {.application_name = kObserverName});
  if (!database.ok()) return database.status();
  const auto ask = [&](const std::string& query) { return (*database)->ReadValue(what, query, kTimeout); };

  const absl::StatusOr<std::string> has = ask(ServerObjectsQuery());
  if (!has.ok()) return has.status();
  const absl::StatusOr<ServerObjects> parsed = ParseServerObjects(*has);
  if (!parsed.ok()) return parsed.status();
  objects = *parsed;
  const absl::StatusOr<std::string> json = ask(NodesQuery(objects));
  if (!json.ok()) return json.status();
  absl::StatusOr<v1::Observed::Nodes> nodes = ParseNodes(*json);
  if (!nodes.ok()) return nodes.status();
  if (nodes->nodes().empty())
    return absl::FailedPreconditionError("cannot observe the database: it names no nodes");
  if (nodes->nodes(0).name().empty()) nodes->mutable_nodes(0)->set_name((*database)->server());

  const absl::StatusOr<std::string> of_tables = ask(RelationsQuery(objects, TablesOf(plan_.setup())));
  if (!of_tables.ok()) return of_tables.status();
  absl::StatusOr<v1::Observed::Nodes> relations = ParseNodes(*of_tables);
  if (!relations.ok()) return relations.status();
  if (relations->relations_size() == kMostRelations) {
    nodes->add_lacking(absl::StrCat("only the first ", kMostRelations, " tables and shards are observed"));
  }
  *nodes->mutable_relations() = std::move(*relations->mutable_relations());
  return nodes;
}

void Observer::Start(const v1::Observed::Nodes& nodes, const ServerObjects& objects) {
  absl::MutexLock lock(&mutex_);
  if (cancelled_) return;
  const v1::ObserverOptions& options = plan_.observer();
  for (int i = 0; i < nodes.nodes_size(); ++i) {
    NodeObserver::Task task{.target = plan_.target(),
                            .number = static_cast<uint32_t>(i),
                            .node = nodes.nodes(i),
                            .elsewhere = i > 0,
                            .objects = objects,
                            .relations = {nodes.relations().begin(), nodes.relations().end()},
                            .interval = FromProto(options.interval()),
                            .count_limit = FromProto(options.count_limit())};
    nodes_.push_back(std::make_unique<NodeObserver>(
        std::move(task), [this](v1::Observed observed) { sink_(std::move(observed)); }));
    if (read_) nodes_.back()->Read();
    if (read_last_) nodes_.back()->ReadLast(keys_);
  }
}

}  // namespace trunkload

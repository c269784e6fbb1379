#include "controller/citus/node_observer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "controller/citus/json_answer.h"
#include "controller/citus/node_queries.h"

namespace trunkload {
namespace {

// A server that has not answered by then is taken to be out of reach.
constexpr absl::Duration kTimeout = absl::Seconds(3);
constexpr absl::Duration kFirstBackOff = absl::Milliseconds(500);
constexpr absl::Duration kLongestBackOff = absl::Seconds(5);
// Each question through the coordinator costs the node a new connection.
constexpr int kSeldom = 5;
// Backends that have ended have told their counters; those of other nodes end a moment after their clients.
constexpr absl::Duration kSettled = absl::Milliseconds(150);
constexpr absl::Duration kLongestSettling = absl::Seconds(3);
// Those that a pooler keeps open tell them once they were idle for 10 s.
constexpr absl::Duration kTold = absl::Milliseconds(10500);
// Looking for who blocks whom stops the server's locking for a moment.
constexpr absl::Duration kBetweenWaits = absl::Seconds(5);
// Between phases: a list of 50,000 statements takes its time.
constexpr absl::Duration kTrackedTimeout = absl::Seconds(10);
// The controller waits for it when the next run begins.
constexpr absl::Duration kPutBackConnectTimeout = absl::Seconds(2);

// Nothing in the sample comes from the load any more.
bool StandsStill(const v1::Observed::Sample& before, const v1::Observed::Sample& now) {
  if (before.sample().connections() != now.sample().connections()) return false;
  if (before.relations_size() != now.relations_size()) return false;
  for (int i = 0; i < now.relations_size(); ++i) {
    if (before.relations(i).SerializeAsString() != now.relations(i).SerializeAsString()) return false;
  }
  return true;
}

}  // namespace

NodeObserver::NodeObserver(Task task, Sink sink)
    : task_(std::move(task)),
      sink_(std::move(sink)),
      sample_query_(SampleQuery(task_.objects, {}, task_.number)),
      reading_query_(SampleQuery(task_.objects, task_.relations, task_.number)),
      thread_([this] { Watch(); }) {}

NodeObserver::~NodeObserver() {
  Cancel();
  thread_.join();
}

void NodeObserver::Read(bool tracked) {
  absl::MutexLock lock(&mutex_);
  tracked_ = tracked;
  order_ = std::max(order_, Order::kRead);
}

void NodeObserver::ReadLast(std::vector<int64_t> keys) {
  absl::MutexLock lock(&mutex_);
  keys_ = std::move(keys);
  tracked_ = false;
  order_ = std::max(order_, Order::kReadLast);
}

void NodeObserver::Cancel() {
  cancellation_.Cancel();
  absl::MutexLock lock(&mutex_);
  order_ = Order::kStop;
}

NodeObserver::Order NodeObserver::WaitUntil(int64_t due_ns) {
  const absl::Duration left = absl::Nanoseconds(due_ns - SystemClock().MonotonicNanos());
  const auto ordered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return order_ != Order::kNone; };
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&ordered), left);
  return order_ == Order::kStop ? Order::kStop : std::exchange(order_, Order::kNone);
}

bool NodeObserver::Tracked() {
  absl::MutexLock lock(&mutex_);
  return tracked_;
}

void NodeObserver::Watch() {
  const SystemClock clock;
  int64_t due_ns = clock.MonotonicNanos();
  absl::Duration back_off = kFirstBackOff;
  while (true) {
    const Order order = WaitUntil(due_ns);
    if (order == Order::kStop) return PutBack();
    absl::Status status = database_ ? absl::OkStatus() : Connect();
    if (status.ok() && order != Order::kNone) status = FollowTracking(Tracked());
    if (status.ok()) status = order == Order::kReadLast ? ReportLast() : Report(order == Order::kRead);
    if (absl::IsCancelled(status)) return PutBack();
    const int64_t now_ns = clock.MonotonicNanos();
    if (!status.ok()) {
      database_.reset();
      TellUnreachable(status, order != Order::kNone);
      due_ns = now_ns + absl::ToInt64Nanoseconds(back_off);
      back_off = std::min(back_off * 2, kLongestBackOff);
      continue;
    }
    told_unreachable_ = false;
    back_off = kFirstBackOff;
    const int64_t interval_ns = absl::ToInt64Nanoseconds(task_.interval) * (direct_ ? 1 : kSeldom);
    // One that took longer than the interval leaves some out.
    while (due_ns <= now_ns) due_ns += interval_ns;
  }
}

absl::Status NodeObserver::Connect() {
  Database::Options options{.application_name = kObserverName, .server = task_.server};
  absl::StatusOr<std::unique_ptr<Database>> database =
      Database::Connect(task_.target, cancellation_, options);
  direct_ = database.ok();
  if (!database.ok() && task_.through_target && !absl::IsCancelled(database.status())) {
    // The node may be out of our reach, and not out of the coordinator's.
    options.server.clear();
    const absl::Status why = database.status();
    database = Database::Connect(task_.target, cancellation_, options);
    if (!database.ok()) return why;
  }
  if (!database.ok()) return database.status();
  database_ = *std::move(database);
  if (absl::Status status = ReadSettings(); !status.ok()) return status;
  return direct_ ? tracking_.Find(*database_) : absl::OkStatus();
}

absl::StatusOr<std::string> NodeObserver::Ask(const std::string& query, absl::Duration timeout) {
  static const std::string what = "observe the database";
  if (direct_) return database_->ReadValue(what, query, timeout);
  absl::StatusOr<std::string> value =
      database_->ReadValue(what, ThroughCoordinator(task_.node, query), timeout);
  if (value.ok() && value->empty()) return absl::UnavailableError("the coordinator gets no answer from it");
  return value;
}

template <typename Message>
absl::StatusOr<Message> NodeObserver::AskFor(const std::string& query, absl::Duration timeout) {
  const absl::StatusOr<std::string> json = Ask(query, timeout);
  if (!json.ok()) return json.status();
  return ParseAnswer<Message>(*json);
}

absl::Status NodeObserver::ReadSettings() {
  const absl::StatusOr<v1::DatabaseNode> settings = AskFor<v1::DatabaseNode>(SettingsQuery(), kTimeout);
  if (!settings.ok()) return settings.status();
  v1::Observed observed;
  v1::Observed::Settings& told = *observed.mutable_settings();
  told.set_node(task_.number);
  told.set_direct(direct_);
  *told.mutable_settings() = settings->settings();
  sink_(std::move(observed));
  return absl::OkStatus();
}

absl::StatusOr<v1::Observed::Sample> NodeObserver::Sample(bool relations) {
  const SystemClock clock;
  const int64_t asked_ns = clock.MonotonicNanos();
  absl::StatusOr<v1::Observed::Sample> sample =
      AskFor<v1::Observed::Sample>(relations ? reading_query_ : sample_query_, kTimeout);
  if (!sample.ok()) return sample.status();
  sample->set_node(task_.number);
  sample->set_took_us(static_cast<double>(clock.MonotonicNanos() - asked_ns) / 1000);
  sample->set_reading(relations);
  return sample;
}

void NodeObserver::TellSample(v1::Observed::Sample sample) {
  v1::Observed observed;
  *observed.mutable_sample() = std::move(sample);
  sink_(std::move(observed));
}

absl::Status NodeObserver::Report(bool reading) {
  absl::StatusOr<v1::Observed::Sample> sample = Sample(reading);
  if (!sample.ok()) return sample.status();
  const bool waiting = sample->sample().waiting_for_locks() > 0;
  TellSample(*std::move(sample));
  return waiting && direct_ ? ReportWaits() : absl::OkStatus();
}

absl::Status NodeObserver::ReportWaits() {
  const int64_t now_ns = SystemClock().MonotonicNanos();
  if (now_ns < waits_due_ns_) return absl::OkStatus();
  waits_due_ns_ = now_ns + absl::ToInt64Nanoseconds(kBetweenWaits);
  absl::StatusOr<v1::Observed::Waits> waits = AskFor<v1::Observed::Waits>(WaitsQuery(), kTimeout);
  if (!waits.ok()) return waits.status();
  v1::Observed observed;
  *observed.mutable_waits() = *std::move(waits);
  observed.mutable_waits()->set_node(task_.number);
  sink_(std::move(observed));
  return absl::OkStatus();
}

absl::Status NodeObserver::ReportLast() {
  const SystemClock clock;
  if (task_.pooled && WaitUntil(clock.MonotonicNanos() + absl::ToInt64Nanoseconds(kTold)) == Order::kStop)
    return absl::CancelledError();
  const int64_t until_ns = clock.MonotonicNanos() + absl::ToInt64Nanoseconds(kLongestSettling);
  absl::StatusOr<v1::Observed::Sample> sample = Sample(/*relations=*/true);
  while (sample.ok() && clock.MonotonicNanos() < until_ns) {
    if (WaitUntil(clock.MonotonicNanos() + absl::ToInt64Nanoseconds(kSettled)) == Order::kStop)
      return absl::CancelledError();
    absl::StatusOr<v1::Observed::Sample> next = Sample(/*relations=*/true);
    const bool settled = next.ok() && StandsStill(*sample, *next);
    sample = std::move(next);
    if (settled) break;
  }
  if (!sample.ok()) return sample.status();
  TellSample(*std::move(sample));
  FindKeys();
  FindShards();
  AskForMoves();
  CountRows();
  return absl::OkStatus();
}

absl::Status NodeObserver::FollowTracking(bool tracked) {
  if (!tracked && !tracking_.on()) return absl::OkStatus();
  v1::Observed observed;
  v1::Observed::Tracked& told = *observed.mutable_tracked();
  told.set_node(task_.number);
  absl::Status changed;
  if (!direct_) {
    changed = absl::FailedPreconditionError(
        "the counting of statements can't be turned on through the coordinator");
  } else if (tracked) {
    changed = tracking_.TurnOn(*database_);
    if (tracking_.on()) ReadTracked(told);
  } else {
    ReadTracked(told);
    changed = tracking_.PutBack(*database_);
  }
  if (!changed.ok()) told.add_lacking(std::string(changed.message()));
  told.set_on(tracking_.on());
  sink_(std::move(observed));
  // What a server refuses leaves the connection as it is.
  return absl::IsFailedPrecondition(changed) || absl::IsPermissionDenied(changed) ? absl::OkStatus()
                                                                                  : changed;
}

void NodeObserver::ReadTracked(v1::Observed::Tracked& told) {
  const auto add = [&](const char* what, const std::string& query) {
    const absl::StatusOr<std::string> json =
        database_->ReadValue(absl::StrCat("read ", what), query, kTrackedTimeout);
    const absl::StatusOr<v1::Observed::Tracked> read =
        json.ok() ? ParseAnswer<v1::Observed::Tracked>(*json) : json.status();
    if (!read.ok()) {
      told.add_lacking(std::string(read.status().message()));
      return;
    }
    told.MergeFrom(*read);
  };
  const absl::StatusOr<std::string> schema = Ask(StatementsSchemaQuery(), kTimeout);
  if (schema.ok() && !schema->empty()) {
    add("pg_stat_statements", StatementsQuery(*schema));
    if (task_.objects.citus) add("citus_stat_statements", RoutesQuery());
  } else {
    told.add_lacking("statements are not known: its database does not have the extension pg_stat_statements");
  }
  if (task_.objects.citus) add("citus_stat_tenants_local", TenantsQuery());
}

void NodeObserver::PutBack() {
  if (!tracking_.on()) return;
  // The connection of before does nothing any more.
  database_.reset();
  const Cancellation none;
  const absl::StatusOr<std::unique_ptr<Database>> database = Database::Connect(
      task_.target, none,
      {.application_name = kObserverName, .server = task_.server, .connect_timeout = kPutBackConnectTimeout});
  absl::Status status = database.ok() ? tracking_.Find(**database) : database.status();
  if (status.ok()) status = tracking_.PutBack(**database);
  // Where that fails, nobody is there to be told: the server holds what was before, and the next observer
  // finds it.
  status.IgnoreError();
}

void NodeObserver::FindKeys() {
  std::vector<int64_t> keys;
  {
    absl::MutexLock lock(&mutex_);
    keys = keys_;
  }
  if (task_.number > 0 || keys.empty()) return;
  absl::StatusOr<v1::Observed::Keys> places =
      AskFor<v1::Observed::Keys>(KeysQuery(task_.relations, keys), kTimeout);
  if (!places.ok()) return;
  v1::Observed observed;
  *observed.mutable_keys() = *std::move(places);
  sink_(std::move(observed));
}

void NodeObserver::FindShards() {
  if (task_.relations_query.empty()) return;
  absl::StatusOr<v1::Observed::Placement> placement =
      AskFor<v1::Observed::Placement>(task_.relations_query, kTimeout);
  if (!placement.ok()) return;
  v1::Observed observed;
  *observed.mutable_placement() = *std::move(placement);
  sink_(std::move(observed));
}

void NodeObserver::AskForMoves() {
  if (!task_.objects.citus || task_.node.role() != v1::DatabaseNode::ROLE_COORDINATOR) return;
  absl::StatusOr<v1::Observed::Moves> moves = AskFor<v1::Observed::Moves>(MovesQuery(), kTrackedTimeout);
  v1::Observed observed;
  if (moves.ok()) {
    *observed.mutable_moves() = *std::move(moves);
  } else {
    observed.mutable_moves()->set_failure(std::string(moves.status().message()));
  }
  sink_(std::move(observed));
}

void NodeObserver::CountRows() {
  v1::Observed observed;
  v1::Observed::Rows& rows = *observed.mutable_rows();
  if (task_.count_limit > absl::ZeroDuration()) {
    absl::StatusOr<v1::Observed::Rows> counted =
        AskFor<v1::Observed::Rows>(CountQuery(task_.relations, task_.number), task_.count_limit);
    if (counted.ok()) {
      rows = *std::move(counted);
    } else {
      rows.set_failure(std::string(counted.status().message()));
    }
  }
  rows.set_node(task_.number);
  sink_(std::move(observed));
}

void NodeObserver::TellUnreachable(const absl::Status& why, bool awaited) {
  if (std::exchange(told_unreachable_, true) && !awaited) return;
  v1::Observed observed;
  observed.mutable_unreachable()->set_node(task_.number);
  observed.mutable_unreachable()->set_reason(std::string(why.message()));
  sink_(std::move(observed));
}

}  // namespace trunkload

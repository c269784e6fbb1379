#include "controller/citus/node_observer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock.h"

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

void NodeObserver::Read() {
  absl::MutexLock lock(&mutex_);
  order_ = std::max(order_, Order::kRead);
}

void NodeObserver::ReadLast(std::vector<int64_t> keys) {
  absl::MutexLock lock(&mutex_);
  keys_ = std::move(keys);
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

void NodeObserver::Watch() {
  const SystemClock clock;
  int64_t due_ns = clock.MonotonicNanos();
  absl::Duration back_off = kFirstBackOff;
  while (true) {
    const Order order = WaitUntil(due_ns);
    if (order == Order::kStop) return;
    absl::Status status = database_ ? absl::OkStatus() : Connect();
    if (status.ok()) status = order == Order::kReadLast ? ReportLast() : Report(order == Order::kRead);
    if (absl::IsCancelled(status)) return;
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
  return ReadSettings();
}

absl::Status NodeObserver::ReadSettings() {
  const absl::StatusOr<std::string> json = Ask(SettingsQuery(), kTimeout);
  if (!json.ok()) return json.status();
  const absl::StatusOr<v1::DatabaseNode> settings = ParseSettings(*json);
  if (!settings.ok()) return settings.status();
  v1::Observed observed;
  v1::Observed::Settings& told = *observed.mutable_settings();
  told.set_node(task_.number);
  told.set_direct(direct_);
  *told.mutable_settings() = settings->settings();
  sink_(std::move(observed));
  return absl::OkStatus();
}

absl::StatusOr<std::string> NodeObserver::Ask(const std::string& query, absl::Duration timeout) {
  static const std::string what = "observe the database";
  if (direct_) return database_->ReadValue(what, query, timeout);
  absl::StatusOr<std::string> value =
      database_->ReadValue(what, ThroughCoordinator(task_.node, query), timeout);
  if (value.ok() && value->empty()) return absl::UnavailableError("the coordinator gets no answer from it");
  return value;
}

absl::StatusOr<v1::Observed::Sample> NodeObserver::Sample(bool relations) {
  const SystemClock clock;
  const int64_t asked_ns = clock.MonotonicNanos();
  const absl::StatusOr<std::string> json = Ask(relations ? reading_query_ : sample_query_, kTimeout);
  if (!json.ok()) return json.status();
  absl::StatusOr<v1::Observed::Sample> sample = ParseSample(*json);
  if (!sample.ok()) return sample.status();
  sample->set_node(task_.number);
  sample->set_took_us(static_cast<double>(clock.MonotonicNanos() - asked_ns) / 1000);
  sample->set_reading(relations);
  return sample;
}

absl::Status NodeObserver::Report(bool reading) {
  absl::StatusOr<v1::Observed::Sample> sample = Sample(reading);
  if (!sample.ok()) return sample.status();
  v1::Observed observed;
  *observed.mutable_sample() = *std::move(sample);
  sink_(std::move(observed));
  return absl::OkStatus();
}

absl::Status NodeObserver::ReportLast() {
  const SystemClock clock;
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
  v1::Observed observed;
  *observed.mutable_sample() = *std::move(sample);
  sink_(std::move(observed));
  FindKeys();
  CountRows();
  return absl::OkStatus();
}

void NodeObserver::FindKeys() {
  std::vector<int64_t> keys;
  {
    absl::MutexLock lock(&mutex_);
    keys = keys_;
  }
  if (task_.number > 0 || keys.empty()) return;
  const absl::StatusOr<std::string> json = Ask(KeysQuery(task_.relations, keys), kTimeout);
  if (!json.ok()) return;
  const absl::StatusOr<v1::Observed::Keys> places = ParseKeys(*json);
  if (!places.ok()) return;
  v1::Observed observed;
  *observed.mutable_keys() = *places;
  sink_(std::move(observed));
}

void NodeObserver::CountRows() {
  v1::Observed observed;
  v1::Observed::Rows& rows = *observed.mutable_rows();
  if (task_.count_limit > absl::ZeroDuration()) {
    const absl::StatusOr<std::string> json =
        Ask(CountQuery(task_.relations, task_.number), task_.count_limit);
    absl::StatusOr<v1::Observed::Rows> counted = json.ok() ? ParseRows(*json) : json.status();
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

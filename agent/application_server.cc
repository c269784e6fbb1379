#include "agent/application_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/duration.h"

namespace trunkload {
namespace {

// Tells the jitter's draws from all others of the same seed.
constexpr uint64_t kJitterStream = 0x6a697474;

int64_t Nanos(const google::protobuf::Duration& duration) {
  return absl::ToInt64Nanoseconds(FromProto(duration));
}

// The most that ever wait for a connection: a closed load's clients always may.
uint32_t LineCapacity(const v1::Assignment& assignment, const v1::ApplicationServer& server) {
  uint32_t capacity = assignment.pool().queue_limit();
  for (const v1::PhaseShare& share : server.shares()) capacity = std::max(capacity, share.clients());
  return capacity;
}

v1::TransactionLog::Outcome OutcomeOf(std::string_view error) {
  if (error.empty()) return v1::TransactionLog::OUTCOME_SUCCEEDED;
  if (error == kSerializationFailure) return v1::TransactionLog::OUTCOME_SERIALIZATION;
  if (error == kDeadlockDetected) return v1::TransactionLog::OUTCOME_DEADLOCK;
  return v1::TransactionLog::OUTCOME_OTHER;
}

// Trying again can't help: the server refuses who we are, or what we want.
bool IsPermanent(std::string_view code) {
  return code.substr(0, 2) == "28" || code.substr(0, 2) == "42" || code.substr(0, 2) == "3D" ||
         code == "0A000";
}

}  // namespace

ApplicationServer::ApplicationServer(const ReactorParts& parts, const v1::ApplicationServer& server,
                                     uint32_t index)
    : parts_(parts),
      index_(index),
      server_(server),
      mode_(parts.assignment.pool().mode()),
      acquire_timeout_ns_(Nanos(parts.assignment.pool().acquire_timeout())),
      connector_(parts_, index, server.number(), server.connections(), MixSeed(server.seed(), kJitterStream)),
      pool_(server.connections(), LineCapacity(parts.assignment, server)),
      keys_(parts.assignment, server),
      random_(MixSeed(server.seed(), 0)),
      clients_(parts_, server) {
  for (uint32_t i = 0; i < server.connections(); ++i) {
    connections_.emplace_back(parts_.epoll_fd, EventTag{.server = index_, .connection = i});
    if (!reconnect_mode()) connections_.back().connection.marks().resize(parts_.scripts.marks());
  }
  uint32_t sum = 0;
  for (const v1::Script& script : parts_.assignment.scripts())
    cumulative_weights_.push_back(sum += script.weight());
  if (parts_.assignment.has_load()) loader_.emplace(parts_.assignment.load(), server.number());
}

// --- Getting ready, and connections that come back.

void ApplicationServer::Open() {
  const int64_t now = parts_.clock.MonotonicNanos();
  open_before_ = now + Nanos(parts_.assignment.pool().connect_timeout());
  const auto wanted = static_cast<uint32_t>(reconnect_mode() ? 1 : connections_.size());
  for (uint32_t i = wanted; i-- > 0;) connector_.Want(i);
  OpenNext(now);
}

void ApplicationServer::OpenNext(int64_t now) {
  // One that fails at once leads back to here.
  if (std::exchange(opening_next_, true)) return;
  while (failure_.empty()) {
    const std::optional<uint32_t> next = connector_.TakeNext();
    if (!next.has_value()) break;
    OpenLink(connections_[*next], now);
  }
  opening_next_ = false;
}

void ApplicationServer::OpenLink(Link& link, int64_t now) {
  // In reconnect mode nothing is prepared, except once to see that it can be.
  const std::span<const Statement> statements =
      reconnect_mode() && ready_ ? std::span<const Statement>() : parts_.scripts.statements();
  if (!connector_.Open(link, statements, now)) OnBroken(link);
}

void ApplicationServer::OnReady(Link& link) {
  const int64_t now = parts_.clock.MonotonicNanos();
  connector_.OnOpened(link);
  if (link.transaction.active) {  // in reconnect mode, the transaction that it was opened for
    link.transaction.times.acquired = now;
    Send(link, now);
    return;
  }
  if (!ready_) {
    ++open_;
    if (reconnect_mode()) {
      link.connection.Close();
      for (uint32_t i = 0; i < connections_.size(); ++i) pool_.Give(i);
      ready_ = true;
      return;
    }
    ready_ = open_ == connections_.size();
  }
  OpenNext(now);
  Free(link, now);
}

void ApplicationServer::OnBroken(Link& link) {
  const int64_t now = parts_.clock.MonotonicNanos();
  PqConnection& connection = link.connection;
  const bool was_opening = link.opening_since != 0;
  if (was_opening) {
    connector_.OnNotOpened(link);
    parts_.recorder.RecordConnectError(connection.error());
  } else {
    parts_.recorder.RecordConnectionLost();
    pool_.Forget(link.index);
    std::replace(kept_.begin(), kept_.end(), link.index, kNone);
    if (!ready_) --open_;
  }
  if (!ready_ && (IsPermanent(connection.error()) || now >= open_before_)) {
    failure_ = absl::StrCat(connection.reason(), " (SQLSTATE ", std::string(connection.error()), ")");
    return;
  }
  if (link.transaction.active) FailTransaction(link, connection.error(), now);
  connector_.BackOff(link, now);
}

// --- Phases.

void ApplicationServer::StartPhase(uint32_t phase, int64_t start_ns, int64_t from_ns) {
  const v1::Phase& described = parts_.assignment.phases(static_cast<int>(phase));
  const v1::PhaseShare& share = server_.shares(static_cast<int>(phase));
  starting_ = may_retry_ = true;
  phase_start_ = start_ns;
  pacer_.reset();
  kept_.clear();
  line_limit_ = UINT32_MAX;
  latency_limit_ns_ = described.has_latency_limit() ? Nanos(described.latency_limit()) : INT64_MAX;
  BringBackRetired();
  if (described.load().has_open()) {
    line_limit_ = parts_.assignment.pool().queue_limit();
    pacer_.emplace(described, Pacer::Share{server_.number(), parts_.assignment.fleet_application_servers(),
                                           share.transactions(), MixSeed(server_.seed(), phase + 1)});
    return StartArrivals(from_ns);
  }
  think_ns_ = Nanos(described.load().closed().think_time());
  clients_.StartClosed(described, share);
  if (session_mode()) kept_.assign(share.clients(), kNone);
  for (uint32_t client = 0; client < share.clients(); ++client) {
    if (!clients_.MayStart(client)) break;
    Begin(from_ns, parts_.clock.MonotonicNanos(), static_cast<int32_t>(client));
  }
}

void ApplicationServer::StartArrivals(int64_t from_ns) {
  next_arrival_ = from_ns == phase_start_ ? 0 : pacer_->FirstFrom(from_ns - phase_start_);
  clients_.StartOpen(pacer_->count() - next_arrival_, connections());
  if (next_arrival_ == pacer_->count()) return;
  parts_.timers.Add({phase_start_ + pacer_->DueNanos(next_arrival_), TimerKind::kArrival, index_});
}

void ApplicationServer::BringBackRetired() {
  for (Link& link : connections_) {
    // One that is being opened, or waits for it, comes by itself.
    const bool retired = std::exchange(link.retired, false);
    const bool closed = !reconnect_mode() && link.connection.closed();
    if (!retired || link.opening_since != 0 || link.backing_off || closed) continue;
    pool_.Give(link.index);
  }
}

void ApplicationServer::StopStarting(bool may_retry) {
  starting_ = false;
  may_retry_ = may_retry;
  clients_.Stop();
  // Clients stay away now; what they keep serves those that still wait.
  for (uint32_t& kept : kept_) {
    if (kept == kNone) continue;
    Link& link = connections_[kept];
    kept = kNone;
    if (!link.transaction.active && !link.connection.closed() && link.opening_since == 0) {
      Free(link, parts_.clock.MonotonicNanos());
    }
  }
}

void ApplicationServer::GiveUp() {
  const int64_t now = parts_.clock.MonotonicNanos();
  GiveUpLine(now);
  for (Link& link : connections_) {
    if (!link.transaction.active) continue;
    FailTransaction(link, kUnfinished, now);
    connector_.GiveUp(link);
    link.connection.Close();
    connector_.BackOff(link, now);
  }
}

// --- One transaction.

uint32_t ApplicationServer::PickScript() {
  if (cumulative_weights_.size() == 1) return 0;
  const uint64_t drawn = random_.Between(1, cumulative_weights_.back());
  uint32_t script = 0;
  while (cumulative_weights_[script] < drawn) ++script;
  return script;
}

void ApplicationServer::Begin(int64_t intended_start, int64_t now, int32_t client) {
  clients_.Start(client);
  const Waiting waiting{intended_start, now, PickScript(), client};
  parts_.recorder.RecordOffered(waiting.script);
  if (client != kNoClient && !kept_.empty() && kept_[client] != kNone) {
    Dispatch(connections_[kept_[client]], waiting, now);
    return;
  }
  if (pool_.waiting() == 0) {
    if (const std::optional<uint32_t> connection = pool_.Take()) {
      return Dispatch(connections_[*connection], waiting, now);
    }
  }
  if (pool_.waiting() >= line_limit_ || pool_.line_full()) {
    parts_.recorder.RecordDropped(waiting.script);
    return;
  }
  pool_.Join(waiting);
  ArmAcquireTimeout();
}

void ApplicationServer::Dispatch(Link& link, const Waiting& waiting, int64_t now) {
  ++in_flight_;
  link.transaction = {
      .times = {.intended_start = waiting.intended_start, .requested = waiting.requested, .acquired = now},
      .script = waiting.script,
      .client = waiting.client,
      .active = true};
  if (!kept_.empty() && waiting.client != kNoClient && starting_) kept_[waiting.client] = link.index;
  if (reconnect_mode()) {
    OpenLink(link, now);
  } else {
    Send(link, now);
  }
}

void ApplicationServer::Send(Link& link, int64_t now) {
  if (loader_) [[unlikely]] {
    link.transaction.times.sent = now;
    if (!loader_->Send(link.connection)) OnBroken(link);
    return;
  }
  InsertScript* const insert = parts_.scripts.insert(link.transaction.script);
  if (insert == nullptr) {
    link.transaction.times.sent = now;
    const Client::Step step =
        clients_.client(ClientOf(link))
            .Begin(*parts_.scripts.text(link.transaction.script), link.connection,
                   EventTag{.server = index_, .connection = link.index | EventTag::kShell});
    // One without a statement has ended already. Its end waits for its turn: it begins the next, which may be
    // such another.
    link.ended_early = step == Client::Step::kDone || step == Client::Step::kFailed;
    return link.ended_early ? WakeAt(link, now) : OnStep(link, step);
  }
  insert->Fill(keys_, parts_.recorder, link.transaction.script);
  // Making many rows takes time that is not the database's.
  link.transaction.times.sent = insert->rows() == 1 ? now : parts_.clock.MonotonicNanos();
  if (!insert->Send(link.connection, !reconnect_mode())) OnBroken(link);
}

void ApplicationServer::OnStep(Link& link, Client::Step step) {
  Client& client = clients_.client(ClientOf(link));
  while (step == Client::Step::kFailed) {
    const bool again = MayRetry(link, client);
    client.RecordFailedCommand(again);
    if (!again) return End(link, client.error(), 0);
    step = client.Retry(link.connection);
  }
  switch (step) {
    case Client::Step::kSleep:
      return WakeAt(link, parts_.clock.MonotonicNanos() + client.sleep_ns());
    case Client::Step::kDone:
      return End(link, "", client.rows());
    case Client::Step::kBroken:
      return OnBroken(link);
    default:
      return;
  }
}

bool ApplicationServer::MayRetry(const Link& link, const Client& client) const {
  return may_retry_ && client.may_retry() &&
         (latency_limit_ns_ == INT64_MAX ||
          parts_.clock.MonotonicNanos() - link.transaction.times.intended_start <= latency_limit_ns_);
}

void ApplicationServer::WakeAt(Link& link, int64_t at) {
  link.wakes_at = at;
  parts_.timers.Add({at, TimerKind::kWake, index_, link.index});
}

void ApplicationServer::OnEvents(uint32_t connection, uint32_t events) {
  if ((connection & EventTag::kShell) != 0) [[unlikely]] {
    Link& link = connections_[connection & ~EventTag::kShell];
    // Of one that has been given up since, or of two events at once, of which the first was enough.
    if (!link.transaction.active || !clients_.run_scripts()) return;
    return OnStep(link, clients_.client(ClientOf(link)).OnShell(link.connection));
  }
  Link& link = connections_[connection];
  switch (link.connection.OnEvents(events)) {
    case PqConnection::Progress::kPending:
      return;
    case PqConnection::Progress::kDone:
      return OnAnswer(link);
    case PqConnection::Progress::kReady:
      return OnReady(link);
    case PqConnection::Progress::kBroken:
      return OnBroken(link);
  }
}

void ApplicationServer::OnAnswer(Link& link) {
  if (loader_) [[unlikely]] {
    if (link.connection.error().empty()) {
      loader_->OnLoaded();
    } else {
      link.connection.Close();
      return OnBroken(link);
    }
  }
  if (parts_.scripts.text(link.transaction.script) != nullptr) {
    return OnStep(link, clients_.client(ClientOf(link)).OnAnswer(link.connection));
  }
  End(link, link.connection.error(), link.connection.rows());
}

void ApplicationServer::End(Link& link, std::string_view error, uint64_t rows) {
  const int64_t now = parts_.clock.MonotonicNanos();
  InFlight& transaction = link.transaction;
  transaction.times.ended = now;
  TextScript* const text = parts_.scripts.text(transaction.script);
  // One that ended before it was sent has no key.
  const bool sent_text = text != nullptr && transaction.times.sent != 0;
  if (sent_text && text->has_key()) clients_.client(ClientOf(link)).RecordKey();
  bool aborted = false;
  if (error.empty()) [[likely]] {
    parts_.recorder.Record(transaction.script, transaction.times, rows);
  } else {
    const Client* client = text != nullptr ? &clients_.client(ClientOf(link)) : nullptr;
    RecordFailure(link, error, client != nullptr ? client->message() : link.connection.reason(), now);
    aborted = client != nullptr && client->must_end();
  }
  if (sent_text && text->recorded()) clients_.client(ClientOf(link)).RecordOperation(error, now);
  Count(link, error);
  transaction.active = false;
  --in_flight_;
  if (aborted) [[unlikely]]
    Abort(link);
  const int32_t client = transaction.client;
  if (reconnect_mode()) link.connection.Close();
  bool kept = client != kNoClient && !kept_.empty() && kept_[client] == link.index;
  if (kept && !clients_.MayStart(static_cast<uint32_t>(client))) {
    kept_[client] = kNone;
    kept = false;
  }
  if (!kept) Free(link, now);
  if (client != kNoClient) Continue(client, now);
}

void ApplicationServer::RecordFailure(const Link& link, std::string_view code, std::string_view message,
                                      int64_t now) {
  const InFlight& transaction = link.transaction;
  parts_.recorder.RecordFailure(transaction.script, transaction.times.intended_start, now, code, message);
}

void ApplicationServer::Count(const Link& link, std::string_view error) {
  const InFlight& transaction = link.transaction;
  const uint32_t client = ClientOf(link);
  const uint64_t number = clients_.CountEnded(client);
  const bool tried = parts_.scripts.text(transaction.script) != nullptr && transaction.times.sent != 0;
  const uint32_t retries = tried ? clients_.client(client).retries() : 0;
  if (retries > 0) {
    parts_.recorder.RecordRetries(transaction.script, retries, clients_.client(client).deadlock_retries());
  }
  // One that was given up has not ended.
  if (!parts_.recorder.logging() || error == kUnfinished) [[likely]]
    return;
  parts_.recorder.Log({clients_.NumberOf(client), number, transaction.script, OutcomeOf(error), retries},
                      transaction.times);
}

void ApplicationServer::Skip(const Waiting& waiting, uint32_t connection, int64_t now) {
  parts_.recorder.RecordSkipped(waiting.script);
  const uint64_t number = clients_.CountEnded(connection);
  if (!parts_.recorder.logging()) return;
  TransactionTimes times{.intended_start = waiting.intended_start, .ended = now};
  parts_.recorder.Log({clients_.NumberOf(connection), number, waiting.script,
                       v1::TransactionLog::OUTCOME_SKIPPED, /*retries=*/0},
                      times);
}

void ApplicationServer::Abort(Link& link) {
  parts_.recorder.RecordAbortedClient();
  const int32_t client = link.transaction.client;
  clients_.Lose(client);
  if (client != kNoClient) {
    if (!kept_.empty()) kept_[static_cast<uint32_t>(client)] = kNone;
    return;
  }
  link.retired = true;
  if (clients_.live() == 0) GiveUpLine(parts_.clock.MonotonicNanos());
}

void ApplicationServer::GiveUpLine(int64_t now) {
  while (pool_.waiting() > 0) {
    const Waiting waiting = pool_.TakeFirst();
    parts_.recorder.RecordFailure(waiting.script, waiting.intended_start, now, kUnfinished);
  }
}

void ApplicationServer::FailTransaction(Link& link, std::string_view code, int64_t now) {
  InFlight& transaction = link.transaction;
  const bool text = parts_.scripts.text(transaction.script) != nullptr;
  const bool given_up = code == kUnfinished;
  if (text) {
    Client& client = clients_.client(ClientOf(link));
    if (!given_up && transaction.times.sent != 0) client.RecordFailedCommand(/*tried_again=*/false);
    client.Abandon();
  }
  transaction.times.ended = now;
  RecordFailure(link, code, given_up ? std::string_view() : link.connection.reason(), now);
  // Whether the server had it done before the connection broke, nobody said.
  if (text && transaction.times.sent != 0 && parts_.scripts.text(transaction.script)->recorded())
    clients_.client(ClientOf(link)).RecordOperation(kUnfinished, now);
  Count(link, code);
  transaction.active = false;
  link.wakes_at = 0;
  --in_flight_;
  if (text && !given_up && !parts_.scripts.text(transaction.script)->continue_on_error()) Abort(link);
  if (loader_) LoadAgain(link, code);
  if (transaction.client == kNoClient) return;
  if (!kept_.empty()) kept_[transaction.client] = kNone;
  // Not at once: where connections fail while they are being opened, each would begin the next one, ever
  // deeper.
  if (starting_ && clients_.MayStart(static_cast<uint32_t>(transaction.client))) {
    parts_.timers.Add(
        {now + think_ns_, TimerKind::kThink, index_, static_cast<uint32_t>(transaction.client)});
  }
}

void ApplicationServer::LoadAgain(const Link& link, std::string_view code) {
  if (code == kUnfinished) return;
  if (loader_->OnFailed(code)) {
    clients_.StartAgain(static_cast<uint32_t>(link.transaction.client));
  } else {
    failure_ = absl::StrCat("rows could not be loaded: ", link.connection.reason(), " (SQLSTATE ",
                            std::string(code), ")");
  }
}

void ApplicationServer::Free(Link& link, int64_t now) {
  if (link.retired) [[unlikely]]
    return;
  while (pool_.waiting() > 0) {
    const Waiting waiting = pool_.TakeFirst();
    if (!IsTooLate(waiting, now)) return Dispatch(link, waiting, now);
    Skip(waiting, link.index, now);
  }
  pool_.Give(link.index);
}

void ApplicationServer::Continue(int32_t client, int64_t now) {
  if (!starting_ || !clients_.MayStart(static_cast<uint32_t>(client))) return;
  if (think_ns_ == 0) {
    Begin(now, now, client);
  } else {
    parts_.timers.Add({now + think_ns_, TimerKind::kThink, index_, static_cast<uint32_t>(client)});
  }
}

// --- Time.

void ApplicationServer::OnTimer(const Timer& timer, int64_t now) {
  switch (timer.kind) {
    case TimerKind::kArrival:
      return ServeArrivals(now);
    case TimerKind::kThink:
      if (clients_.MayStart(timer.index)) {
        parts_.recorder.RecordScheduleLag(now - timer.at);
        Begin(timer.at, now, static_cast<int32_t>(timer.index));
      }
      return;
    case TimerKind::kAcquireTimeout:
      acquire_timeout_armed_ = false;
      while (pool_.waiting() > 0 && now - pool_.First().requested >= acquire_timeout_ns_) {
        const Waiting expired = pool_.TakeFirst();
        parts_.recorder.RecordFailure(expired.script, expired.intended_start, now, kPoolTimeout);
        if (loader_) failure_ = "rows could not be loaded: the database has not been there for too long";
        if (expired.client != kNoClient) Continue(expired.client, now);
      }
      return ArmAcquireTimeout();
    case TimerKind::kReconnect:
      connections_[timer.index].backing_off = false;
      // In reconnect mode the next transaction opens it.
      if (reconnect_mode() && ready_) return Free(connections_[timer.index], now);
      connector_.Want(timer.index);
      return OpenNext(now);
    case TimerKind::kConnectTimeout: {
      Link& link = connections_[timer.index];
      if (connector_.TimedOut(link, now)) OnBroken(link);
      return;
    }
    case TimerKind::kWake: {
      Link& link = connections_[timer.index];
      // Of a transaction that has been given up since.
      if (link.wakes_at != timer.at) return;
      link.wakes_at = 0;
      Client& client = clients_.client(ClientOf(link));
      if (!std::exchange(link.ended_early, false)) return OnStep(link, client.Advance(link.connection));
      return OnStep(link, client.error().empty() ? Client::Step::kDone : Client::Step::kFailed);
    }
    default:
      return;
  }
}

void ApplicationServer::ServeArrivals(int64_t now) {
  // However late it is, answers and the end of the phase get their turn in between.
  constexpr int kArrivalsAtOnce = 64;
  for (int served = 0; clients_.left_to_start() > 0; ++served) {
    const int64_t due = phase_start_ + pacer_->DueNanos(next_arrival_);
    if (due > now || served == kArrivalsAtOnce) {
      parts_.timers.Add({due, TimerKind::kArrival, index_});
      return;
    }
    ++next_arrival_;
    parts_.recorder.RecordScheduleLag(now - due);
    Begin(due, now, kNoClient);
    now = parts_.clock.MonotonicNanos();
  }
}

void ApplicationServer::ArmAcquireTimeout() {
  if (acquire_timeout_armed_ || pool_.waiting() == 0) return;
  acquire_timeout_armed_ = true;
  parts_.timers.Add({pool_.First().requested + acquire_timeout_ns_, TimerKind::kAcquireTimeout, index_});
}

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/client.h"
#include "agent/client_roster.h"
#include "agent/connector.h"
#include "agent/key_source.h"
#include "agent/link.h"
#include "agent/pacer.h"
#include "agent/pool.h"
#include "agent/reactor_parts.h"
#include "agent/table_loader.h"
#include "agent/timer_queue.h"
#include "common/clock.h"
#include "common/random.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// One emulated application server: its connections, the clients that share them, and in open load its
// schedule.
//
// A transaction goes from due to a connection of the pool, or into the pool's line; from there to the server;
// and with the answer into the recorder. Starting, answering and recording one allocates nothing. Not
// thread-safe: belongs to its reactor.
class ApplicationServer {
 public:
  // `index`: in its reactor.
  ApplicationServer(const ReactorParts& parts, const v1::ApplicationServer& server, uint32_t index);

  // Opens the connections.
  void Open();
  // All connections are open (in reconnect mode: one was, to see that it can be).
  bool ready() const { return ready_; }
  uint32_t connections() const { return static_cast<uint32_t>(connections_.size()); }
  // Why it can't get ready, or can't go on loading rows, once it is certain; empty otherwise.
  const std::string& failure() const { return failure_; }

  // `from_ns`: when it begins here, where that is later than the phase's start. What was due before is not
  // run.
  void StartPhase(uint32_t phase, int64_t start_ns, int64_t from_ns);
  // No new transactions. Those that were due before go on; `may_retry`: they may also be tried again.
  void StopStarting(bool may_retry);
  // Nothing is under way and nothing waits.
  bool drained() const { return in_flight_ == 0 && pool_.waiting() == 0; }
  // All that the phase was to start has been started: one that is limited by transactions has ended.
  // A chunk of rows under way counts as not started: where it fails, it is started again.
  bool all_started() const { return clients_.left_to_start() == 0 && (!loader_ || drained()); }
  // Clients that go on; in open load, connections that transactions are run on.
  uint32_t live_clients() const { return clients_.live(); }
  // Some have ended before the phase has.
  bool lost_clients() const { return clients_.lost_any(); }
  // Counts what is left as unfinished and gives it up.
  void GiveUp();

  // `connection`: as in the event's tag.
  void OnEvents(uint32_t connection, uint32_t events);
  // Hints that OnEvents of that connection comes soon, and next. With a thousand connections nothing of one
  // is in the cache when its answer comes; it is fetched while others are served.
  void OnEventsSoon(uint32_t connection) const {
    const char* link = reinterpret_cast<const char*>(&connections_[connection & ~EventTag::kShell]);
    for (size_t offset = 0; offset < sizeof(Link); offset += 64) __builtin_prefetch(link + offset);
  }
  void OnEventsNext(uint32_t connection) const {
    connections_[connection & ~EventTag::kShell].connection.Prefetch();
  }
  void OnTimer(const Timer& timer, int64_t now);

 private:
  using InFlight = Link::InFlight;

  void BringBackRetired();
  void StartArrivals(int64_t from_ns);
  uint32_t PickScript();
  void Begin(int64_t intended_start, int64_t now, int32_t client);
  void Dispatch(Link& link, const Waiting& waiting, int64_t now);
  void Send(Link& link, int64_t now);
  void OnAnswer(Link& link);
  // What the client of its transaction made of the last answer, or of the start.
  void OnStep(Link& link, Client::Step step);
  void WakeAt(Link& link, int64_t at);
  bool MayRetry(const Link& link, const Client& client) const;
  // The transaction is over; where it failed, `error` says why.
  void End(Link& link, std::string_view error, uint64_t rows);
  // Of the transaction on a connection, by number: a closed load's, else the connection's own.
  uint32_t ClientOf(const Link& link) const {
    const InFlight& transaction = link.transaction;
    return transaction.client == kNoClient ? link.index : static_cast<uint32_t>(transaction.client);
  }
  void RecordFailure(const Link& link, std::string_view code, std::string_view message, int64_t now);
  // What a transaction that has ended leaves in the log and in its client's counts.
  void Count(const Link& link, std::string_view error);
  // The client of a transaction that has failed goes on with no other.
  void Abort(Link& link);
  // What waits for a connection is not to get one any more.
  void GiveUpLine(int64_t now);
  // Of one that had to wait for a connection: what an idle one gets is run, as by pgbench.
  bool IsTooLate(const Waiting& waiting, int64_t now) const {
    return waiting.client == kNoClient && now - waiting.intended_start > latency_limit_ns_;
  }
  void Skip(const Waiting& waiting, uint32_t connection, int64_t now);
  // Has a chunk of rows that was not loaded sent once more, or gives up.
  void LoadAgain(const Link& link, std::string_view code);
  void OnReady(Link& link);
  void OnBroken(Link& link);
  void FailTransaction(Link& link, std::string_view code, int64_t now);
  // The connection has nothing to do any more: the first in line gets it, else the pool.
  void Free(Link& link, int64_t now);
  // The client whose transaction has ended goes on.
  void Continue(int32_t client, int64_t now);
  void ServeArrivals(int64_t now);
  void OpenLink(Link& link, int64_t now);
  void OpenNext(int64_t now);
  void ArmAcquireTimeout();
  bool session_mode() const { return mode_ == v1::POOL_MODE_SESSION; }
  bool reconnect_mode() const { return mode_ == v1::POOL_MODE_RECONNECT; }

  ReactorParts parts_;
  const uint32_t index_;
  const v1::ApplicationServer& server_;
  const v1::PoolMode mode_;
  const int64_t acquire_timeout_ns_;

  std::deque<Link> connections_;
  // Draws numbers of its own, so that a connection that breaks changes nothing in what is drawn for
  // transactions.
  Connector connector_;
  Pool pool_;
  KeySource keys_;
  Random random_;
  std::vector<uint32_t> cumulative_weights_;
  ClientRoster clients_;

  // Where the assignment is to load rows.
  std::optional<TableLoader> loader_;

  // Getting ready.
  bool ready_ = false;
  uint32_t open_ = 0;
  bool opening_next_ = false;
  int64_t open_before_ = 0;
  std::string failure_;

  // The phase under way.
  bool starting_ = false;
  bool may_retry_ = false;
  int64_t phase_start_ = 0;
  int64_t think_ns_ = 0;
  int64_t latency_limit_ns_ = INT64_MAX;
  std::optional<Pacer> pacer_;
  uint64_t next_arrival_ = 0;
  uint32_t in_flight_ = 0;
  uint32_t line_limit_ = 0;
  bool acquire_timeout_armed_ = false;
  // In session mode: the connection that a client keeps, or kNone.
  static constexpr uint32_t kNone = UINT32_MAX;
  std::vector<uint32_t> kept_;
};

}  // namespace trunkload

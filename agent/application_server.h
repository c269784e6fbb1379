#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/insert_script.h"
#include "agent/key_source.h"
#include "agent/pacer.h"
#include "agent/pool.h"
#include "agent/pq_connection.h"
#include "agent/recorder.h"
#include "agent/timer_queue.h"
#include "common/clock.h"
#include "common/random.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// What the application servers of one reactor share.
struct ReactorParts {
  const v1::Assignment& assignment;
  const SystemClock& clock;
  int epoll_fd;
  Recorder& recorder;
  TimerQueue& timers;
  std::vector<InsertScript>& scripts;
  std::vector<Statement>& statements;
};

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
  // Why it can't get ready, once it is certain; empty otherwise.
  const std::string& failure() const { return failure_; }

  void StartPhase(uint32_t phase, int64_t start_ns);
  // No new transactions. Those that were due before go on.
  void StopStarting();
  // Nothing is under way and nothing waits.
  bool drained() const { return in_flight_ == 0 && pool_.waiting() == 0; }
  // All that the phase was to start has been started: one that is limited by transactions has ended.
  bool all_started() const { return left_to_start_ == 0; }
  // Counts what is left as unfinished and gives it up.
  void GiveUp();

  void OnEvents(uint32_t connection, uint32_t events);
  // Hints that OnEvents of that connection comes soon, and next. With a thousand connections nothing of one
  // is in the cache when its answer comes; it is fetched while others are served.
  void OnEventsSoon(uint32_t connection) const {
    const char* link = reinterpret_cast<const char*>(&connections_[connection]);
    for (size_t offset = 0; offset < sizeof(Link); offset += 64) __builtin_prefetch(link + offset);
  }
  void OnEventsNext(uint32_t connection) const { connections_[connection].connection.Prefetch(); }
  void OnTimer(const Timer& timer, int64_t now);

 private:
  struct InFlight {
    TransactionTimes times;
    uint32_t script;
    int32_t client;
    bool active = false;  // a transaction holds this connection
  };
  struct Link {
    Link(int epoll_fd, EventTag tag) : index(tag.connection), connection(epoll_fd, tag) {}

    const uint32_t index;
    InFlight transaction;
    PqConnection connection;
    int64_t opening_since = 0;
    bool connect_timeout_armed = false;
    uint32_t failed_attempts = 0;
  };

  uint32_t PickScript();
  void Begin(int64_t intended_start, int64_t now, int32_t client);
  void Dispatch(Link& link, const Waiting& waiting, int64_t now);
  void Send(Link& link, int64_t now);
  void OnAnswer(Link& link);
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
  void RetryLater(Link& link, int64_t now);
  void ArmAcquireTimeout();
  bool session_mode() const { return mode_ == v1::POOL_MODE_SESSION; }
  bool reconnect_mode() const { return mode_ == v1::POOL_MODE_RECONNECT; }

  ReactorParts parts_;
  const uint32_t index_;
  const v1::ApplicationServer& server_;
  const v1::PoolMode mode_;
  const int64_t acquire_timeout_ns_;
  const int64_t connect_timeout_ns_;

  std::deque<Link> connections_;
  Pool pool_;
  KeySource keys_;
  Random random_;
  // Of its own, so that a connection that breaks changes nothing in what is drawn for transactions.
  Random jitter_;
  std::vector<uint32_t> cumulative_weights_;

  // Getting ready.
  bool ready_ = false;
  uint32_t open_ = 0;
  std::vector<uint32_t> to_open_;
  uint32_t opening_ = 0;
  bool opening_next_ = false;
  int64_t open_before_ = 0;
  std::string failure_;

  // The phase under way.
  bool starting_ = false;
  int64_t phase_start_ = 0;
  int64_t think_ns_ = 0;
  uint64_t left_to_start_ = 0;
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

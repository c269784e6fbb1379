#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/support/wire_session.h"

struct epoll_event;

namespace trunkload {

struct WireServerOptions {
  uint16_t port = 0;  // on 127.0.0.1; 0: any that is free
  // From when a statement has arrived until its answer is sent; all connections wait at the same time.
  absl::Duration delay = absl::ZeroDuration();
  int max_connections = 20000;
  std::string password;
  std::string error_sqlstate;
  uint64_t error_every = 0;
  std::string prepare_sqlstate;
  size_t notice_bytes = 0;
  uint64_t statements_per_session = 0;
  // Called in the server's thread.
  std::function<void(absl::string_view line)> log;
  // Sends so many bytes at a time, a moment apart, so that they come one by one; 0: as many as there are.
  size_t piece_bytes = 0;
};

// A PostgreSQL server that stores nothing and answers at once, or after an exact delay: what an agent's own
// cost and timing are measured on. Runs on a thread of its own until it is destroyed; its public functions
// are thread-safe.
class WireServer {
 public:
  static absl::StatusOr<std::unique_ptr<WireServer>> Start(const WireServerOptions& options);
  ~WireServer();

  uint16_t port() const { return port_; }
  std::string conninfo() const;
  const WireCounts& counts() const { return counts_; }
  // Breaks every connection there is, as a server that crashes does; new ones are taken.
  void BreakConnections();

 private:
  struct Connection {
    Connection(const WireSessionOptions& options, WireCounts& counts, bool refused)
        : session(options, counts, refused) {}
    WireSession session;
    uint64_t number = 0;
    std::string in;   // what is there of messages that are not answered yet
    std::string out;  // what the client has not taken yet
    bool waiting = false;
  };
  struct Due {
    int64_t at_ns;
    int fd;
    uint64_t connection;
  };

  WireServer(const WireServerOptions& options, int listener, int epoll, int wake, uint16_t port);
  void Serve();
  int Wait(epoll_event* events, int capacity);
  void AnswerDue();
  void Accept();
  void OnEvent(int fd, uint32_t events);
  void OnInput(int fd, Connection& connection);
  void Advance(int fd, Connection& connection, absl::string_view in, int64_t received_ns);
  // False where the connection has gone.
  bool Flush(int fd, Connection& connection, bool had_output, int flags = 0);
  // How much of it the client has taken, or -1.
  ssize_t Send(int fd, absl::string_view out, int flags) const;
  void Close(int fd);

  const int64_t delay_ns_;
  const int max_connections_;
  const size_t piece_bytes_;
  WireSessionOptions session_options_;
  const int listener_;
  const int epoll_;
  const int wake_;
  const uint16_t port_;
  WireCounts counts_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> break_{false};

  // Of the thread.
  std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor
  int open_ = 0;
  uint64_t next_connection_ = 1;
  std::deque<Due> due_;  // in order of time, for the delay is always the same
  std::vector<char> input_;
  std::thread thread_;
};

}  // namespace trunkload

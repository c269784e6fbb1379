#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/container/node_hash_map.h"
#include "absl/strings/string_view.h"
#include "tests/support/wire_answer.h"

namespace trunkload {

struct WireSessionOptions {
  // Asked for in clear text; empty: nobody is asked.
  std::string password;
  // Every so many-th statement of the load fails with this SQLSTATE; 0: none does.
  std::string error_sqlstate;
  uint64_t error_every = 0;
  // Preparing a statement fails with this SQLSTATE; empty: it succeeds.
  std::string prepare_sqlstate;
  // Preparing a statement, and each statement of the load, gets a notice this long before its answer; 0:
  // none.
  size_t notice_bytes = 0;
  // With the answer to its so many-th statement of the load, a session ends; 0: it doesn't.
  uint64_t statements_per_session = 0;
  // Told what comes, a line each: "Q" and a query, "P" and a statement to prepare, "B" and the parameters
  // that one is run with (NULL as \N); escaped as in C.
  std::function<void(absl::string_view line)> log;
  // Execute and Query are answered only when Consume is called again.
  bool waits = false;
};

// Counted over all sessions of a server: written by its thread, read by any.
struct WireCounts {
  std::atomic<uint64_t> statements{0};  // of the load, answered without an error
  std::atomic<uint64_t> rows{0};        // written
  std::atomic<uint64_t> errors{0};
  std::atomic<uint64_t> sessions{0};  // that were let in
};

// The server's side of PostgreSQL's protocol 3.0 on one connection: bytes in, bytes out. Not thread-safe.
class WireSession {
 public:
  enum class Next {
    kRead,   // wants more input
    kWait,   // is at a statement that is to be answered later: by the next call
    kClose,  // has ended, once what it has to say is sent
  };

  // A session that is refused says so once it is spoken to: too many connections.
  WireSession(const WireSessionOptions& options, WireCounts& counts, bool refused);

  // Takes whole messages off the front of `in` and appends what they are answered to `out`.
  Next Consume(absl::string_view& in, std::string& out);
  // Whether the client waits for what was appended so far; asking resets it.
  bool TakeFlush();

 private:
  enum class Stage { kStartup, kPassword, kReady, kCopyIn };

  Next OnStartup(absl::string_view body, std::string& out);
  Next OnMessage(char type, absl::string_view body, std::string& out);
  void OnCopyMessage(char type, absl::string_view body, std::string& out);
  void OnQuery(absl::string_view sql, std::string& out);
  void OnParse(absl::string_view body, std::string& out);
  void Welcome(std::string& out);
  // Appends what the statement gets; false where it was an error.
  bool Answer(const WireAnswer& answer, bool describe, std::string& out);
  void Ready(std::string& out);
  void Notice(std::string& out);
  void Log(char kind, absl::string_view text) const;
  void LogParameters(absl::string_view bind) const;
  bool IsError(const WireAnswer& answer);

  const WireSessionOptions& options_;
  WireCounts& counts_;
  const bool refused_;
  Stage stage_ = Stage::kStartup;
  bool flush_ = false;
  bool waited_ = false;
  uint64_t answered_ = 0;  // statements of the load
  bool skipping_ = false;  // to the next Sync, after an error
  char status_ = 'I';
  absl::node_hash_map<std::string, WireAnswer> statements_;
  const WireAnswer* portal_ = nullptr;
  uint64_t copied_rows_ = 0;
  bool ready_after_copy_ = false;  // the COPY came by Query, which no Sync follows
};

}  // namespace trunkload

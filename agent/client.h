#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/pq_connection.h"
#include "agent/recorder.h"
#include "agent/shell_process.h"
#include "agent/text_script.h"
#include "common/clock.h"
#include "common/random.h"
#include "common/script/script_cursor.h"
#include "common/script/variables.h"
#include "google/protobuf/map.h"

namespace trunkload {

// One emulated user of scripts: its variables and its random numbers, and in a transaction where it is in the
// script. What it knows outlives its transactions. Not thread-safe.
class Client {
 public:
  // What all clients of a reactor share; outlives them.
  struct Parts {
    const VariableNames& names;
    const SystemClock& clock;
    Recorder& recorder;
    int epoll_fd;
    // See ClientSeeds.
    std::span<const uint64_t> seeds;
  };
  struct Identity {
    uint32_t number;  // unique in the fleet: client_id
    uint32_t agent;
    uint32_t agents;
    uint64_t plan_seed;
    uint32_t generation;  // of its application server
  };
  // `variables`: the plan's.
  Client(const Parts& parts, const Identity& identity,
         const google::protobuf::Map<std::string, std::string>& variables);

  // What comes next in a transaction.
  enum class Step : uint8_t {
    kAnswer,  // a statement is under way: OnAnswer, when the connection is done
    kShell,   // a command of the shell is under way: OnShell, when the epoll set tells of it
    kSleep,   // Advance, after sleep_ns()
    kDone,    // the transaction has ended
    kFailed,  // the same, and error() says why; the connection is out of any transaction block
    kBroken,  // sending broke the connection
  };

  // Starts a transaction on an idle connection that is its own until the end. `shell_tag`: of the events of
  // its commands of the shell.
  Step Begin(TextScript& script, PqConnection& connection, EventTag shell_tag);
  Step OnAnswer(PqConnection& connection);
  Step OnShell(PqConnection& connection);
  Step Advance(PqConnection& connection);
  // Tells the recorder of the transaction's key, where its script has one and that is a whole number.
  void RecordKey();
  // Tells the recorder what came of the operation that the transaction was, where its script is recorded, and
  // what it saw. `now`: when it ended.
  void RecordOperation(std::string_view error, int64_t now);
  // After kFailed, where may_retry(): the transaction once more, with the same random numbers.
  Step Retry(PqConnection& connection);
  // The transaction is given up, whatever was under way.
  void Abandon() { shell_.reset(); }

  int64_t sleep_ns() const { return sleep_ns_; }
  // Rows that the transaction wrote.
  uint64_t rows() const { return rows_; }
  // Tries of the transaction after the first.
  uint32_t retries() const { return retries_; }
  // Of those, the ones after a deadlock.
  uint32_t deadlock_retries() const { return deadlock_retries_; }

  // After kFailed.
  std::string_view error() const { return error_; }
  // What the server said, or what is wrong with the script.
  const std::string& message() const { return message_; }
  // A serialization failure or a deadlock, and the script allows another try.
  bool may_retry() const;
  // The client is not to go on with other transactions.
  bool must_end() const;
  // Tells the recorder of the command that failed, where the script's commands are measured.
  void RecordFailedCommand(bool tried_again);

 private:
  enum class Doing : uint8_t { kStatement, kPreparing, kPipeline, kLeavingPipeline, kRollback };

  // From the script's first command on.
  Step Start(PqConnection& connection);
  void Define(std::string_view name, int64_t value);
  void BeginOperation();
  std::optional<int64_t> WholeNumber(uint32_t variable);
  Step Execute(const Command& command, PqConnection& connection);
  Step Prepare(const Command& command, PqConnection& connection);
  Step Sleep(const SleepCommand& sleep, PqConnection& connection);
  Step Pipeline(PipelineCommand pipeline, PqConnection& connection);
  Step StartShell(const ShellCommand& shell, PqConnection& connection);
  Step Fail(std::string_view code, std::string_view message, PqConnection& connection);
  // With the place of the command.
  Step FailHere(std::string_view code, std::string_view message, PqConnection& connection);
  Step LeaveTransaction(PqConnection& connection);
  // The command that was under way has succeeded.
  void CommandDone(const Command& command);
  // False where \gset did not get its one row.
  bool TakeRows(const SqlCommand& command, const PqConnection& connection);
  void TakeRow(const SqlCommand& command, const PqConnection& connection, size_t result);

  const Parts& parts_;
  Variables variables_;
  Random random_;
  const uint64_t writer_;
  // The newest of each script that is recorded, by its number.
  std::vector<uint64_t> operations_;

  TextScript* script_ = nullptr;
  std::optional<ScriptCursor> cursor_;
  // The one under way, and what is being prepared for it.
  const Command* command_ = nullptr;
  const Command* preparing_ = nullptr;
  Doing doing_ = Doing::kStatement;
  int64_t command_started_ = 0;
  uint64_t rows_ = 0;
  int64_t sleep_ns_ = 0;
  uint32_t retries_ = 0;
  uint32_t deadlock_retries_ = 0;
  Random random_at_begin_;
  EventTag shell_tag_{};
  std::unique_ptr<ShellProcess> shell_;
  std::string error_;
  std::string message_;
};

}  // namespace trunkload

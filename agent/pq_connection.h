#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "agent/event_tag.h"
#include "trunkload/v1/plan.pb.h"

struct pg_conn;
struct pg_result;

namespace trunkload {

// A statement as it goes to the server: its text, and the name that it is prepared under.
struct Statement {
  std::string name;  // empty: it can't be prepared
  std::string sql;
};

// Parameters of a prepared statement, as libpq takes them.
struct Parameters {
  std::span<const char* const> values;
  std::span<const int> lengths;
  std::span<const int> formats;  // 0: text, 1: binary
};

// One connection to the database, over libpq, without blocking (but for the look-up of a host's name). Its
// owner watches it in an epoll set and tells it what came; it registers itself there with `tag` as the
// event's data.
//
// Not thread-safe.
class PqConnection {
 public:
  enum class Progress {
    kPending,  // nothing new
    kReady,    // open, every statement prepared: idle
    kDone,     // the answer to what was sent is complete; error() says whether it failed. Idle again.
    kBroken,   // could not be opened, or ended; error() and reason() say why. Closed.
  };

  PqConnection(int epoll_fd, EventTag tag);
  ~PqConnection();
  PqConnection(const PqConnection&) = delete;
  PqConnection& operator=(const PqConnection&) = delete;

  // Opens it, has its transactions begin at the target's isolation level, and then prepares `statements`,
  // which must outlive it. kPending or kBroken.
  Progress Open(const v1::Target& target, std::span<const Statement> statements);
  // `events`: what the epoll set told.
  Progress OnEvents(uint32_t events);
  // It has been opening for too long: closed, as after kBroken.
  void GiveUpOpening();
  void Close();

  // Each sends one command on an idle connection. False where that broke it: it is closed then, as after
  // kBroken.
  bool SendPrepared(const Statement& statement, const Parameters& parameters);
  // Without preparing it first.
  bool SendOnce(const Statement& statement, const Parameters& parameters);
  // A COPY … FROM STDIN of `rows` in text format.
  bool SendCopy(const Statement& statement, std::string_view rows);
  // The same of rows that are made while they are sent, each call a piece of them until an empty one. `sql`:
  // one statement or several, one of which is the COPY.
  using CopyRows = absl::AnyInvocable<std::string_view()>;
  bool SendCopyFrom(const std::string& sql, CopyRows rows);
  // By the simple protocol: one statement or several.
  bool SendQuery(const std::string& sql);
  // Prepares another statement.
  bool SendPrepare(const Statement& statement);

  // From here on SendPrepared and SendOnce only queue, up to EndPipeline, after which one answer comes for
  // all of them. On an idle connection; false as above.
  bool StartPipeline();
  // Ends an implicit transaction in it: an error leaves out what follows up to here.
  bool SyncPipeline();
  bool EndPipeline();
  bool in_pipeline() const { return in_pipeline_; }

  // Keeps the rows of the next command's queries, one result each, until another is sent.
  void KeepRows() { keep_rows_ = true; }

  // Of kept rows.
  size_t kept_results() const { return kept_.size(); }
  size_t kept_rows(size_t result) const;
  // The columns of the last row, NULL as none.
  void ForEachColumn(
      size_t result,
      absl::FunctionRef<void(std::string_view name, std::optional<std::string_view> value)> column) const;

  // A transaction block is open, in good order or not.
  bool in_transaction() const;
  // A mark for each late-prepared statement, for its owner's use: all false whenever the connection opens.
  std::vector<bool>& marks() { return marks_; }

  // Starts to bring into the cache what OnEvents will touch.
  void Prefetch() const;

  bool closed() const { return stage_ == Stage::kClosed; }

  // Of the last kDone or kBroken: the SQLSTATE, empty where it succeeded. 08006 where the connection ended
  // without a reason, 08001 where the server could not be reached.
  std::string_view error() const { return error_; }
  // The error in words, without a password.
  const std::string& reason() const { return reason_; }
  // Rows that the server said the last command wrote.
  uint64_t rows() const { return rows_; }

 private:
  enum class Stage { kClosed, kOpening, kPreparing, kIdle, kQueuing, kBusy };

  Progress ContinueOpening();
  Progress SetIsolation();
  Progress ContinuePreparing();
  Progress PrepareNext();
  Progress ReadAnswer();
  // Reads what has come; false where the connection has ended. `complete` says whether an answer is there in
  // full.
  bool TakeResults(bool& complete);
  // Sends what the socket takes of the rows of a COPY; false where the connection has ended.
  bool ContinueCopy();
  bool AfterSend(int sent);
  bool Flush();
  Progress Break(std::string_view code);
  void SetError(std::string_view code, std::string_view reason);
  void ExplainOpenFailure();
  void HidePassword();
  // For these events of its socket; what is there already is told again.
  void Watch(uint32_t events);

  struct ResultDeleter {
    void operator()(pg_result* result) const;
  };
  using Result = std::unique_ptr<pg_result, ResultDeleter>;

  const int epoll_fd_;
  const EventTag tag_;
  pg_conn* connection_ = nullptr;
  Stage stage_ = Stage::kClosed;
  uint32_t watched_events_ = 0;
  std::string_view error_;
  uint64_t rows_ = 0;
  // From here on, nothing that most transactions touch.
  int watched_fd_ = -1;
  char code_[16] = "";
  std::string reason_;
  std::string copy_rows_;
  CopyRows rows_to_copy_;
  bool copying_ = false;  // rows_to_copy_ has more
  v1::Isolation isolation_ = v1::ISOLATION_SERVER;
  std::span<const Statement> statements_;
  size_t prepared_ = 0;
  bool keep_rows_ = false;
  bool in_pipeline_ = false;
  uint32_t awaited_syncs_ = 0;
  std::vector<Result> kept_;
  std::vector<bool> marks_;
};

}  // namespace trunkload

#include "agent/pq_connection.h"

#include <libpq-fe.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "agent/error_counts.h"

namespace trunkload {
namespace {

// Once open, a connection is watched for what comes, not for what is there: an answer that one read takes in
// whole, as nearly all are, is then looked at once and not a second time to see that nothing is left. After a
// read that was not enough, Watch asks again for what may be there already.
constexpr uint32_t kEdges = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr uint32_t kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

uint64_t RowsWritten(PGresult* result) {
  const char* text = PQcmdTuples(result);
  uint64_t rows = 0;
  std::from_chars(text, text + std::strlen(text), rows);
  return rows;
}

// A command that gave rows, and wrote them too, as INSERT … RETURNING does.
bool Writes(std::string_view tag) {
  return tag.starts_with("INSERT") || tag.starts_with("UPDATE") || tag.starts_with("DELETE") ||
         tag.starts_with("MERGE");
}

// As verbose messages have it: "28P01: …".
bool StartsWithSqlstate(std::string_view text) {
  return text.size() >= 7 && text.substr(5, 2) == ": " &&
         std::all_of(text.begin(), text.begin() + 5,
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

// As SQL names it; null: what the server has will do.
const char* LevelInSql(v1::Isolation isolation) {
  switch (isolation) {
    case v1::ISOLATION_READ_COMMITTED:
      return "READ COMMITTED";
    case v1::ISOLATION_REPEATABLE_READ:
      return "REPEATABLE READ";
    case v1::ISOLATION_SERIALIZABLE:
      return "SERIALIZABLE";
    default:
      return nullptr;
  }
}

std::string_view FirstLine(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

PqConnection::PqConnection(int epoll_fd, EventTag tag) : epoll_fd_(epoll_fd), tag_(tag) {}

PqConnection::~PqConnection() {
  Close();
}

void PqConnection::Close() {
  // Closing the socket takes it out of the epoll set.
  PQfinish(connection_);
  watched_fd_ = -1;
  watched_events_ = 0;
  connection_ = nullptr;
  stage_ = Stage::kClosed;
  keep_rows_ = false;
  in_pipeline_ = false;
  awaited_syncs_ = 0;
  copy_rows_.clear();
  rows_to_copy_ = nullptr;
  copying_ = false;
  std::fill(marks_.begin(), marks_.end(), false);
}

void PqConnection::ResultDeleter::operator()(pg_result* result) const {
  PQclear(result);
}

void PqConnection::Prefetch() const {
  // The part of libpq's own structure that its answers and commands go through. Only a hint: with another
  // layout than that of libpq 15 it would help less.
  constexpr int kFrom = 256;
  constexpr int kTo = 1120;
  const char* session = reinterpret_cast<const char*>(connection_);
  for (int offset = kFrom; offset < kTo; offset += 64) __builtin_prefetch(session + offset);
}

void PqConnection::Watch(uint32_t events) {
  const int fd = PQsocket(connection_);
  epoll_event event{.events = events, .data = {.u64 = tag_.data()}};
  // While it opens, libpq may close its socket and open another, which often gets the same number: modifying
  // then fails.
  if (fd != watched_fd_ || epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) != 0) {
    epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  }
  watched_fd_ = fd;
  watched_events_ = events;
}

PqConnection::Progress PqConnection::Open(const v1::Target& target, std::span<const Statement> statements) {
  isolation_ = target.isolation();
  statements_ = statements;
  prepared_ = 0;
  error_ = {};
  // A service goes before the connection string; what neither says comes from libpq's environment.
  const bool service = !target.service().empty();
  const char* keywords[] = {service ? "service" : "dbname", "fallback_application_name", nullptr};
  const char* values[] = {service ? target.service().c_str() : target.conninfo().c_str(), "trunkload-agent",
                          nullptr};
  connection_ = PQconnectStartParams(keywords, values, /*expand_dbname=*/1);
  stage_ = Stage::kOpening;
  if (connection_ == nullptr) {
    SetError("53200", "out of memory");
    return Break(error_);
  }
  if (PQstatus(connection_) == CONNECTION_BAD) {
    ExplainOpenFailure();
    return Break(error_);
  }
  // Verbose messages carry the SQLSTATE, which libpq keeps from its caller when a connection fails to open.
  PQsetErrorVerbosity(connection_, PQERRORS_VERBOSE);
  PQsetNoticeReceiver(
      connection_, [](void*, const PGresult*) {}, nullptr);
  Watch(EPOLLOUT);
  return Progress::kPending;
}

PqConnection::Progress PqConnection::OnEvents(uint32_t events) {
  // The end may have come together with an answer, which is where reading stops: it is to be told once more.
  if ((events & kEnd) != 0 && stage_ != Stage::kClosed) [[unlikely]]
    Watch(watched_events_);
  switch (stage_) {
    case Stage::kBusy:
      return ReadAnswer();
    case Stage::kOpening:
      return ContinueOpening();
    case Stage::kPreparing:
      return ContinuePreparing();
    case Stage::kIdle: {
      // Nothing was asked: a notice, or the server saying goodbye. What the last statement failed with is
      // over.
      error_ = {};
      bool complete;
      if (!TakeResults(complete)) return Break(kConnectionBroken);
      Watch(kEdges);
      return Progress::kPending;
    }
    case Stage::kQueuing:
      // Answers to what is queued wait in libpq.
      if (!PQconsumeInput(connection_) || !Flush()) return Break(kConnectionBroken);
      Watch(watched_events_);
      return Progress::kPending;
    case Stage::kClosed:
      break;
  }
  return Progress::kPending;
}

void PqConnection::GiveUpOpening() {
  SetError(kUnreachable, "the server did not answer in time");
  Close();
}

PqConnection::Progress PqConnection::ContinueOpening() {
  switch (PQconnectPoll(connection_)) {
    case PGRES_POLLING_READING:
      Watch(EPOLLIN);
      return Progress::kPending;
    case PGRES_POLLING_WRITING:
      Watch(EPOLLOUT);
      return Progress::kPending;
    case PGRES_POLLING_OK:
      Watch(kEdges);
      PQsetnonblocking(connection_, 1);
      stage_ = Stage::kPreparing;
      return SetIsolation();
    default:
      ExplainOpenFailure();
      return Break(error_);
  }
}

// By a command of its own and not by an option of the start-up, which would have to be put together with
// those that the target has already, and which poolers refuse, or drop without a word.
PqConnection::Progress PqConnection::SetIsolation() {
  const char* level = LevelInSql(isolation_);
  if (level == nullptr) return PrepareNext();
  const std::string sql = std::string("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL ") + level;
  if (!PQsendQuery(connection_, sql.c_str()) || !Flush()) return Break(kConnectionBroken);
  return Progress::kPending;
}

PqConnection::Progress PqConnection::ContinuePreparing() {
  bool complete;
  if (!Flush() || !TakeResults(complete)) return Break(kConnectionBroken);
  if (!complete) {
    Watch(watched_events_);
    return Progress::kPending;
  }
  return error_.empty() ? PrepareNext() : Break(error_);
}

// One statement after the other: an error then belongs to the statement that it names.
PqConnection::Progress PqConnection::PrepareNext() {
  while (prepared_ < statements_.size() && statements_[prepared_].name.empty()) ++prepared_;
  if (prepared_ == statements_.size()) {
    stage_ = Stage::kIdle;
    return Progress::kReady;
  }
  const Statement& statement = statements_[prepared_++];
  if (!PQsendPrepare(connection_, statement.name.c_str(), statement.sql.c_str(), 0, nullptr) || !Flush()) {
    return Break(kConnectionBroken);
  }
  return Progress::kPending;
}

bool PqConnection::SendPrepared(const Statement& statement, const Parameters& parameters) {
  return AfterSend(PQsendQueryPrepared(connection_, statement.name.c_str(),
                                       static_cast<int>(parameters.values.size()), parameters.values.data(),
                                       parameters.lengths.data(), parameters.formats.data(),
                                       /*resultFormat=*/0));
}

bool PqConnection::SendOnce(const Statement& statement, const Parameters& parameters) {
  return AfterSend(
      PQsendQueryParams(connection_, statement.sql.c_str(), static_cast<int>(parameters.values.size()),
                        /*paramTypes=*/nullptr, parameters.values.data(), parameters.lengths.data(),
                        parameters.formats.data(), /*resultFormat=*/0));
}

bool PqConnection::SendCopy(const Statement& statement, std::string_view rows) {
  copy_rows_ = rows;
  return AfterSend(PQsendQuery(connection_, statement.sql.c_str()));
}

bool PqConnection::SendCopyFrom(const std::string& sql, CopyRows rows) {
  rows_to_copy_ = std::move(rows);
  return AfterSend(PQsendQuery(connection_, sql.c_str()));
}

bool PqConnection::ContinueCopy() {
  // Then it is the other connections' turn, however fast the server takes them.
  constexpr int kPiecesAtOnce = 16;
  for (int pieces = 0; pieces < kPiecesAtOnce; ++pieces) {
    if (!Flush()) return false;
    if ((watched_events_ & EPOLLOUT) != 0) return true;
    const std::string_view piece = rows_to_copy_();
    if (piece.empty()) {
      copying_ = false;
      rows_to_copy_ = nullptr;
      return PQputCopyEnd(connection_, nullptr) == 1 && Flush();
    }
    if (PQputCopyData(connection_, piece.data(), static_cast<int>(piece.size())) != 1) return false;
  }
  Watch(kEdges | EPOLLOUT);
  return true;
}

bool PqConnection::SendQuery(const std::string& sql) {
  return AfterSend(PQsendQuery(connection_, sql.c_str()));
}

bool PqConnection::SendPrepare(const Statement& statement) {
  return AfterSend(PQsendPrepare(connection_, statement.name.c_str(), statement.sql.c_str(), 0, nullptr));
}

bool PqConnection::StartPipeline() {
  in_pipeline_ = true;
  awaited_syncs_ = 0;
  return AfterSend(PQenterPipelineMode(connection_));
}

bool PqConnection::SyncPipeline() {
  ++awaited_syncs_;
  return AfterSend(PQpipelineSync(connection_));
}

bool PqConnection::EndPipeline() {
  ++awaited_syncs_;
  in_pipeline_ = false;
  return AfterSend(PQpipelineSync(connection_));
}

size_t PqConnection::kept_rows(size_t result) const {
  return static_cast<size_t>(PQntuples(kept_[result].get()));
}

void PqConnection::ForEachColumn(
    size_t result,
    absl::FunctionRef<void(std::string_view name, std::optional<std::string_view> value)> column) const {
  const PGresult* rows = kept_[result].get();
  const int last = PQntuples(rows) - 1;
  for (int i = 0; i < PQnfields(rows); ++i) {
    std::optional<std::string_view> value;
    if (!PQgetisnull(rows, last, i)) value = PQgetvalue(rows, last, i);
    column(PQfname(rows, i), value);
  }
}

bool PqConnection::in_transaction() const {
  const PGTransactionStatusType status = PQtransactionStatus(connection_);
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

bool PqConnection::AfterSend(int sent) {
  // What is queued is part of one command.
  if (awaited_syncs_ == 0 && stage_ != Stage::kQueuing) {
    error_ = {};
    rows_ = 0;
    kept_.clear();
  }
  stage_ = in_pipeline_ ? Stage::kQueuing : Stage::kBusy;
  // What is queued leaves when libpq has enough of it, or at the end.
  if (sent == 1 && (in_pipeline_ || Flush())) [[likely]]
    return true;
  Break(kConnectionBroken);
  return false;
}

bool PqConnection::Flush() {
  const int left = PQflush(connection_);
  if (left < 0) return false;
  const uint32_t wanted = left == 0 ? kEdges : kEdges | EPOLLOUT;
  if (wanted != watched_events_) [[unlikely]]
    Watch(wanted);
  return true;
}

PqConnection::Progress PqConnection::ReadAnswer() {
  if (watched_events_ & EPOLLOUT) [[unlikely]] {
    if (!Flush()) return Break(kConnectionBroken);
  }
  if (copying_) [[unlikely]] {
    // Nothing is to come before the last row is sent, except the end.
    if (!PQconsumeInput(connection_) || !ContinueCopy()) return Break(kConnectionBroken);
    if (copying_) return Progress::kPending;
  }
  bool complete;
  if (!TakeResults(complete)) [[unlikely]]
    return Break(kConnectionBroken);
  if (!complete) {
    Watch(watched_events_);
    return Progress::kPending;
  }
  stage_ = Stage::kIdle;
  keep_rows_ = false;
  copy_rows_.clear();
  return Progress::kDone;
}

bool PqConnection::TakeResults(bool& complete) {
  complete = false;
  const bool alive = PQconsumeInput(connection_);
  while (!PQisBusy(connection_)) {
    PGresult* result = PQgetResult(connection_);
    if (result == nullptr) {
      // In a pipeline it ends one statement only.
      if (awaited_syncs_ > 0) continue;
      complete = alive;
      break;
    }
    bool more = true;
    switch (PQresultStatus(result)) {
      case PGRES_COMMAND_OK:
        rows_ += RowsWritten(result);
        if (keep_rows_) {
          kept_.emplace_back(result);
          continue;
        }
        break;
      case PGRES_COPY_IN:
        if (rows_to_copy_) {
          PQclear(result);
          copying_ = true;
          if (!ContinueCopy()) return false;
          if (copying_) return alive;
          continue;
        }
        if (awaited_syncs_ > 0) {
          // What follows in the pipeline has been sent already, where the server now takes rows.
          SetError("0A000", "a pipeline can't hold a COPY");
          more = false;
          break;
        }
        if (copy_rows_.empty()) {
          more = PQputCopyEnd(connection_, "a script can't send the rows of a COPY") == 1 && Flush();
          break;
        }
        more = PQputCopyData(connection_, copy_rows_.data(), static_cast<int>(copy_rows_.size())) == 1 &&
               PQputCopyEnd(connection_, nullptr) == 1 && Flush();
        break;
      case PGRES_TUPLES_OK:
        if (Writes(PQcmdStatus(result))) rows_ += RowsWritten(result);
        if (keep_rows_) {
          kept_.emplace_back(result);
          continue;
        }
        break;
      case PGRES_EMPTY_QUERY:
      case PGRES_PIPELINE_ABORTED:  // after an error, which is the one to tell
        break;
      case PGRES_PIPELINE_SYNC:
        if (--awaited_syncs_ > 0) break;
        PQclear(result);
        if (PQexitPipelineMode(connection_) != 1) return false;
        complete = alive;
        return alive;
      case PGRES_COPY_OUT:
      case PGRES_COPY_BOTH:
        SetError("0A000", "a script can't read the rows of a COPY");
        more = false;
        break;
      default: {
        const char* code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const char* reason = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        // The first error of a command is its reason; what libpq adds when the connection then ends is not.
        if (error_.empty())
          SetError(code ? code : kConnectionBroken, reason ? reason : PQresultErrorMessage(result));
      }
    }
    PQclear(result);
    if (!more || PQstatus(connection_) == CONNECTION_BAD) return false;
  }
  return alive;
}

PqConnection::Progress PqConnection::Break(std::string_view code) {
  if (error_.empty()) {
    SetError(code, FirstLine(connection_ ? PQerrorMessage(connection_) : ""));
  }
  Close();
  return Progress::kBroken;
}

void PqConnection::SetError(std::string_view code, std::string_view reason) {
  const size_t length = code.copy(code_, sizeof(code_) - 1);
  code_[length] = '\0';
  error_ = code_;
  reason_.assign(reason);
}

void PqConnection::ExplainOpenFailure() {
  // A line for each address that was tried, as in "connection to server at … failed: FATAL:  28P01: password
  // authentication failed for user …", in the server's language and with lines of detail; without a SQLSTATE
  // where no server answered, or a proxy that knows none. What a server said last counts for more than an
  // address that nobody answers at.
  const std::string_view message = PQerrorMessage(connection_);
  for (size_t mark = message.rfind(":  "); mark != std::string_view::npos && mark > 0;
       mark = message.rfind(":  ", mark - 1)) {
    const std::string_view answer = message.substr(mark + 3);
    if (StartsWithSqlstate(answer)) {
      SetError(answer.substr(0, 5), FirstLine(answer.substr(7)));
      HidePassword();
      return;
    }
  }
  // The last address is the one that counts.
  const size_t attempt = message.rfind("connection to server at ");
  const std::string_view last = message.substr(attempt == message.npos ? 0 : attempt);
  const auto says = [last](int error) { return last.find(std::strerror(error)) != last.npos; };
  SetError(says(EMFILE) || says(ENFILE) ? kTooManyFiles
           : says(EADDRNOTAVAIL)        ? kNoFreePort
                                        : kUnreachable,
           FirstLine(message));
  HidePassword();
}

// A server may say it again.
void PqConnection::HidePassword() {
  const std::string_view password = PQpass(connection_) == nullptr ? "" : PQpass(connection_);
  if (password.empty()) return;
  for (size_t at = 0; (at = reason_.find(password, at)) != std::string::npos; at += 3)
    reason_.replace(at, password.size(), "***");
}

}  // namespace trunkload

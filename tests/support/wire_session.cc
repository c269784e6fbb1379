#include "tests/support/wire_session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

constexpr int32_t kProtocol3 = 3 << 16;
constexpr int32_t kCancelRequest = 80877102;
constexpr int32_t kSslRequest = 80877103;
constexpr int32_t kGssEncRequest = 80877104;
constexpr int32_t kTextOid = 25;

int32_t ReadInt32(const char* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof(value));
  return static_cast<int32_t>(__builtin_bswap32(value));
}

void AppendInt16(int16_t value, std::string& out) {
  const uint16_t wire = __builtin_bswap16(static_cast<uint16_t>(value));
  out.append(reinterpret_cast<const char*>(&wire), sizeof(wire));
}

void AppendInt32(int32_t value, std::string& out) {
  const uint32_t wire = __builtin_bswap32(static_cast<uint32_t>(value));
  out.append(reinterpret_cast<const char*>(&wire), sizeof(wire));
}

void AppendMessage(char type, absl::string_view body, std::string& out) {
  out.push_back(type);
  AppendInt32(static_cast<int32_t>(body.size()) + 4, out);
  out.append(body.data(), body.size());
}

// An error (type E) or a notice (type N).
void AppendReport(char type, absl::string_view severity, absl::string_view sqlstate,
                  absl::string_view message, std::string& out) {
  const char nul = '\0';
  std::string body;
  for (const auto& [field, text] : {std::pair<char, absl::string_view>{'S', severity},
                                    {'V', severity},
                                    {'C', sqlstate},
                                    {'M', message}}) {
    body.push_back(field);
    absl::StrAppend(&body, text);
    body.push_back(nul);
  }
  body.push_back(nul);
  AppendMessage(type, body, out);
}

void AppendError(absl::string_view severity, absl::string_view sqlstate, absl::string_view message,
                 std::string& out) {
  AppendReport('E', severity, sqlstate, message, out);
}

void AppendParameterStatus(absl::string_view name, absl::string_view value, std::string& out) {
  const absl::string_view nul("\0", 1);
  AppendMessage('S', absl::StrCat(name, nul, value, nul), out);
}

// Takes a text that ends in NUL off the front.
absl::string_view TakeText(absl::string_view& body) {
  const size_t end = std::min(body.find('\0'), body.size());
  const absl::string_view text = body.substr(0, end);
  body.remove_prefix(std::min(end + 1, body.size()));
  return text;
}

void AppendRowDescription(const WireAnswer& answer, std::string& out) {
  if (!answer.selects) return AppendMessage('n', "", out);
  // One column "value" of no table, of type text.
  std::string body;
  AppendInt16(1, body);
  body.append("value", 6);
  AppendInt32(0, body);
  AppendInt16(0, body);
  AppendInt32(kTextOid, body);
  AppendInt16(-1, body);
  AppendInt32(-1, body);
  AppendInt16(0, body);
  AppendMessage('T', body, out);
}

void AppendResult(const WireAnswer& answer, std::string& out) {
  if (!answer.value.empty()) {
    out.push_back('D');
    AppendInt32(static_cast<int32_t>(answer.value.size()) + 10, out);
    AppendInt16(1, out);
    AppendInt32(static_cast<int32_t>(answer.value.size()), out);
    out.append(answer.value);
  }
  out.push_back('C');
  AppendInt32(static_cast<int32_t>(answer.tag.size()) + 5, out);
  out.append(answer.tag.c_str(), answer.tag.size() + 1);
}

// One thread writes, so no read-modify-write is needed.
void Add(std::atomic<uint64_t>& counter, uint64_t n) {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace

WireSession::WireSession(const WireSessionOptions& options, WireCounts& counts, bool refused)
    : options_(options), counts_(counts), refused_(refused) {}

WireSession::Next WireSession::Consume(absl::string_view& in, std::string& out) {
  while (true) {
    const size_t header = stage_ == Stage::kStartup ? 4 : 5;
    if (in.size() < header) return Next::kRead;
    const int32_t length = ReadInt32(in.data() + header - 4);
    if (length < 4) return Next::kClose;
    const size_t whole = header - 4 + static_cast<size_t>(length);
    if (in.size() < whole) return Next::kRead;
    const absl::string_view body = in.substr(header, whole - header);
    const char type = stage_ == Stage::kStartup ? 'S' : in[0];
    if (options_.waits && stage_ == Stage::kReady && (type == 'E' || type == 'Q') && !skipping_) {
      waited_ = !waited_;
      if (waited_) return Next::kWait;
    }
    const Next next = stage_ == Stage::kStartup ? OnStartup(body, out) : OnMessage(type, body, out);
    in.remove_prefix(whole);
    if (next != Next::kRead) return next;
    if (flush_ && options_.statements_per_session > 0 && answered_ >= options_.statements_per_session) {
      return Next::kClose;
    }
  }
}

bool WireSession::TakeFlush() {
  const bool flush = flush_;
  flush_ = false;
  return flush;
}

WireSession::Next WireSession::OnStartup(absl::string_view body, std::string& out) {
  flush_ = true;
  if (body.size() < 4) return Next::kClose;
  const int32_t code = ReadInt32(body.data());
  if (code == kSslRequest || code == kGssEncRequest) {
    out.push_back('N');
    return Next::kRead;
  }
  if (code == kCancelRequest) return Next::kClose;
  if (code != kProtocol3) {
    AppendError("FATAL", "0A000", "unsupported frontend protocol", out);
    return Next::kClose;
  }
  if (refused_) {
    AppendError("FATAL", "53300", "sorry, too many clients already", out);
    return Next::kClose;
  }
  if (!options_.password.empty()) {
    AppendMessage('R', absl::string_view("\0\0\0\3", 4), out);
    stage_ = Stage::kPassword;
    return Next::kRead;
  }
  Welcome(out);
  return Next::kRead;
}

void WireSession::Welcome(std::string& out) {
  stage_ = Stage::kReady;
  Add(counts_.sessions, 1);
  AppendMessage('R', absl::string_view("\0\0\0\0", 4), out);
  AppendParameterStatus("server_version", kServerVersion, out);
  AppendParameterStatus("server_encoding", "UTF8", out);
  AppendParameterStatus("client_encoding", "UTF8", out);
  AppendParameterStatus("DateStyle", "ISO, MDY", out);
  AppendParameterStatus("integer_datetimes", "on", out);
  AppendParameterStatus("standard_conforming_strings", "on", out);
  AppendParameterStatus("TimeZone", "UTC", out);
  AppendMessage('K', absl::string_view("\0\0\0\1\0\0\0\1", 8), out);
  Ready(out);
}

void WireSession::Ready(std::string& out) {
  skipping_ = false;
  flush_ = true;
  const char ready[] = {'Z', 0, 0, 0, 5, status_};
  out.append(ready, sizeof(ready));
}

WireSession::Next WireSession::OnMessage(char type, absl::string_view body, std::string& out) {
  if (type == 'X') return Next::kClose;
  if (stage_ == Stage::kPassword) {
    flush_ = true;
    if (type != 'p' || TakeText(body) != options_.password) {
      AppendError("FATAL", "28P01", "password authentication failed", out);
      return Next::kClose;
    }
    Welcome(out);
    return Next::kRead;
  }
  if (stage_ == Stage::kCopyIn) {
    OnCopyMessage(type, body, out);
    return Next::kRead;
  }
  if (type == 'S') {
    Ready(out);
    return Next::kRead;
  }
  if (skipping_) return Next::kRead;
  switch (type) {
    case 'B': {
      TakeText(body);
      const auto found = statements_.find(TakeText(body));
      portal_ = found == statements_.end() ? nullptr : &found->second;
      if (portal_ == nullptr) {
        AppendError("ERROR", "26000", "prepared statement does not exist", out);
        skipping_ = true;
      } else {
        LogParameters(body);
        out.append("2\0\0\0\4", 5);
      }
      break;
    }
    case 'D': {
      const bool of_statement = !body.empty() && body[0] == 'S';
      if (of_statement) {
        const auto found = statements_.find(body.substr(1, body.size() - 2));
        portal_ = found == statements_.end() ? nullptr : &found->second;
      }
      if (portal_ == nullptr) {
        AppendError("ERROR", "26000", "prepared statement does not exist", out);
        skipping_ = true;
        break;
      }
      if (of_statement) {
        std::string types;
        AppendInt16(static_cast<int16_t>(portal_->parameters), types);
        for (int i = 0; i < portal_->parameters; ++i) AppendInt32(kTextOid, types);
        AppendMessage('t', types, out);
      }
      AppendRowDescription(*portal_, out);
      break;
    }
    case 'E':
      if (portal_ != nullptr) skipping_ = !Answer(*portal_, /*describe=*/false, out);
      break;
    case 'P':
      OnParse(body, out);
      break;
    case 'C':
      if (!body.empty() && body[0] == 'S') {
        const auto found = statements_.find(body.substr(1, body.size() - 2));
        if (found != statements_.end()) {
          if (portal_ == &found->second) portal_ = nullptr;
          statements_.erase(found);
        }
      }
      out.append("3\0\0\0\4", 5);
      break;
    case 'H':
      flush_ = true;
      break;
    case 'Q':
      OnQuery(TakeText(body), out);
      break;
    default:
      AppendError("FATAL", "08P01", "invalid frontend message type", out);
      flush_ = true;
      return Next::kClose;
  }
  return Next::kRead;
}

void WireSession::OnParse(absl::string_view body, std::string& out) {
  const absl::string_view name = TakeText(body);
  if (!options_.prepare_sqlstate.empty()) {
    AppendError("ERROR", options_.prepare_sqlstate, "this statement can't be prepared", out);
    skipping_ = true;
    return;
  }
  Notice(out);
  const absl::string_view sql = TakeText(body);
  Log('P', sql);
  statements_[name] = AnswerTo(sql);
  out.append("1\0\0\0\4", 5);
}

void WireSession::OnQuery(absl::string_view sql, std::string& out) {
  Log('Q', sql);
  absl::string_view statement = TakeStatement(sql);
  if (statement.empty()) out.append("I\0\0\0\4", 5);
  for (; !statement.empty(); statement = TakeStatement(sql)) {
    const WireAnswer answer = AnswerTo(statement);
    if (!Answer(answer, /*describe=*/true, out)) break;
    // The rest of several statements is not looked at: nobody sends any after a COPY.
    if (answer.copies_in) return;
  }
  Ready(out);
}

void WireSession::Log(char kind, absl::string_view text) const {
  if (options_.log) options_.log(absl::StrCat(std::string(1, kind), " ", absl::CEscape(text)));
}

// What follows the names in a Bind message.
void WireSession::LogParameters(absl::string_view bind) const {
  if (!options_.log) return;
  const auto take = [&bind](size_t size) {
    uint32_t number = 0;
    for (const char byte : bind.substr(0, size)) number = number << 8 | static_cast<unsigned char>(byte);
    bind.remove_prefix(std::min(size, bind.size()));
    return number;
  };
  std::string line = "B";
  const uint32_t formats = take(2);
  bind.remove_prefix(std::min<size_t>(2 * formats, bind.size()));
  for (uint32_t left = take(2); left > 0 && !bind.empty(); --left) {
    const uint32_t length = take(4);
    if (length == UINT32_MAX) {
      line += " \\N";
    } else {
      absl::StrAppend(&line, " ", absl::CEscape(bind.substr(0, length)));
      bind.remove_prefix(std::min<size_t>(length, bind.size()));
    }
  }
  options_.log(line);
}

void WireSession::Notice(std::string& out) {
  if (options_.notice_bytes == 0) return;
  AppendReport('N', "NOTICE", "00000", std::string(options_.notice_bytes, 'n'), out);
}

bool WireSession::IsError(const WireAnswer& answer) {
  if (options_.error_every == 0 || !answer.load) return false;
  const uint64_t before =
      counts_.statements.load(std::memory_order_relaxed) + counts_.errors.load(std::memory_order_relaxed);
  return (before + 1) % options_.error_every == 0;
}

bool WireSession::Answer(const WireAnswer& answer, bool describe, std::string& out) {
  if (answer.copies_in) {
    // Text, with no column announced: clients don't look at their number.
    out.append("G\0\0\0\7\0\0\0", 8);
    flush_ = true;
    stage_ = Stage::kCopyIn;
    copied_rows_ = 0;
    ready_after_copy_ = describe;
    return true;
  }
  if (answer.load) {
    Notice(out);
    ++answered_;
  }
  if (IsError(answer)) {
    Add(counts_.errors, 1);
    AppendError("ERROR", options_.error_sqlstate, "this statement was chosen to fail", out);
    if (status_ == 'T') status_ = 'E';
    return false;
  }
  if (describe && answer.selects) AppendRowDescription(answer, out);
  AppendResult(answer, out);
  if (answer.status != 0) status_ = answer.status;
  if (answer.load) {
    Add(counts_.statements, 1);
    Add(counts_.rows, answer.rows);
  }
  return true;
}

void WireSession::OnCopyMessage(char type, absl::string_view body, std::string& out) {
  if (type == 'd') {
    copied_rows_ += static_cast<uint64_t>(std::count(body.begin(), body.end(), '\n'));
    return;
  }
  if (type != 'c' && type != 'f') return;
  stage_ = Stage::kReady;
  bool succeeded = false;
  if (type == 'f') {
    AppendError("ERROR", "57014", "COPY from stdin failed", out);
  } else {
    WireAnswer done;
    done.tag = absl::StrCat("COPY ", copied_rows_);
    done.rows = copied_rows_;
    done.load = true;
    succeeded = Answer(done, /*describe=*/false, out);
  }
  if (ready_after_copy_) {
    Ready(out);
  } else {
    skipping_ = !succeeded;
  }
}

}  // namespace trunkload

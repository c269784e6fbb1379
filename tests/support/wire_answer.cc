#include "tests/support/wire_answer.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace trunkload {
namespace {

bool IsWord(char c) {
  return absl::ascii_isalnum(c) || c == '_';
}

// The position just after the quoted text that starts at `from`.
size_t AfterQuoted(absl::string_view sql, size_t from) {
  const size_t end = sql.find(sql[from], from + 1);
  return end == absl::string_view::npos ? sql.size() : end + 1;
}

absl::string_view FirstWord(absl::string_view sql) {
  size_t end = 0;
  while (end < sql.size() && IsWord(sql[end])) ++end;
  return sql.substr(0, end);
}

// The position just after the word, outside quotes; npos where it does not occur. `word` is in lower case.
size_t AfterWord(absl::string_view sql, absl::string_view word) {
  for (size_t i = 0; i < sql.size();) {
    if (sql[i] == '\'' || sql[i] == '"') {
      i = AfterQuoted(sql, i);
    } else if (IsWord(sql[i])) {
      const absl::string_view found = FirstWord(sql.substr(i));
      i += found.size();
      if (absl::EqualsIgnoreCase(found, word)) return i;
    } else {
      ++i;
    }
  }
  return absl::string_view::npos;
}

// How many groups in parentheses, separated by commas, `sql` starts with.
uint64_t CountGroups(absl::string_view sql) {
  uint64_t groups = 0;
  int depth = 0;
  for (size_t i = 0; i < sql.size();) {
    const char c = sql[i];
    if (c == '\'' || c == '"') {
      i = AfterQuoted(sql, i);
      continue;
    }
    if (c == '(' && depth++ == 0) ++groups;
    if (c == ')') --depth;
    if (depth == 0 && IsWord(c)) break;
    ++i;
  }
  return groups;
}

int HighestParameter(absl::string_view sql) {
  int highest = 0;
  for (size_t at = sql.find('$'); at != absl::string_view::npos; at = sql.find('$', at + 1)) {
    int number = 0;
    const absl::string_view digits = FirstWord(sql.substr(at + 1));
    if (absl::SimpleAtoi(digits, &number)) {
      highest = std::max(highest, number);
    }
  }
  return highest;
}

void AnswerSelect(absl::string_view rest, WireAnswer& answer) {
  answer.selects = true;
  int64_t number = 0;
  const absl::string_view text = absl::StripAsciiWhitespace(rest);
  if (absl::SimpleAtoi(text, &number)) {
    answer.value = std::string(text);
  } else if (answer.parameters > 0) {
    answer.value = "1";
  }
  answer.tag = answer.value.empty() ? "SELECT 0" : "SELECT 1";
}

}  // namespace

WireAnswer AnswerTo(absl::string_view sql) {
  WireAnswer answer;
  answer.parameters = HighestParameter(sql);
  const std::string verb = absl::AsciiStrToUpper(std::string(FirstWord(sql)));
  if (verb == "INSERT") {
    const size_t values = AfterWord(sql, "values");
    answer.rows = values == absl::string_view::npos ? 1 : CountGroups(sql.substr(values));
    answer.tag = absl::StrCat("INSERT 0 ", answer.rows);
  } else if (verb == "SHOW") {
    answer.selects = true;
    answer.value = kServerVersion;
    answer.tag = "SHOW";
  } else if (verb == "SELECT") {
    AnswerSelect(sql.substr(verb.size()), answer);
  } else if (verb == "UPDATE" || verb == "DELETE") {
    answer.rows = 1;
    answer.tag = verb + " 1";
  } else if (verb == "COPY") {
    answer.copies_in = AfterWord(sql, "stdin") != absl::string_view::npos;
    answer.tag = "COPY 0";
  } else if (verb == "BEGIN" || verb == "START") {
    answer.status = 'T';
    answer.tag = "BEGIN";
  } else if (verb == "COMMIT" || verb == "END" || verb == "ROLLBACK" || verb == "ABORT") {
    answer.status = 'I';
    answer.tag = verb == "COMMIT" || verb == "END" ? "COMMIT" : "ROLLBACK";
  } else {
    answer.tag = verb;
  }
  answer.load = answer.rows > 0 || answer.parameters > 0;
  return answer;
}

absl::string_view TakeStatement(absl::string_view& sql) {
  while (!sql.empty()) {
    size_t end = 0;
    while (end < sql.size() && sql[end] != ';') {
      end = sql[end] == '\'' || sql[end] == '"' ? AfterQuoted(sql, end) : end + 1;
    }
    const absl::string_view first = absl::StripAsciiWhitespace(sql.substr(0, end));
    sql.remove_prefix(std::min(end + 1, sql.size()));
    if (!first.empty()) return first;
  }
  return {};
}

}  // namespace trunkload

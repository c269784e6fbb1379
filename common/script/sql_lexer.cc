#include "common/script/sql_lexer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/script/variables.h"

namespace trunkload {
namespace {

bool IsSpace(char c) {
  return absl::ascii_isspace(static_cast<unsigned char>(c));
}

bool IsDigit(char c) {
  return absl::ascii_isdigit(static_cast<unsigned char>(c));
}

bool IsWordPart(char c) {
  return VariableNames::IsPart(c) || c == '$';
}

bool Is(std::string_view word, absl::string_view keyword) {
  return absl::EqualsIgnoreCase(absl::string_view(word.data(), word.size()), keyword);
}

}  // namespace

template <class Predicate>
size_t SqlLexer::Length(size_t from, Predicate is) const {
  size_t end = from;
  while (end < text_.size() && is(text_[end])) ++end;
  return end - from;
}

void SqlLexer::Echo(size_t length) {
  if (statement_.sql.empty()) statement_.offset = at_;
  statement_.sql.append(text_.substr(at_, length));
  at_ += length;
}

void SqlLexer::SkipOrEcho(size_t length) {
  if (statement_.sql.empty()) {
    at_ += length;
  } else {
    Echo(length);
  }
}

SqlLexer::Statement SqlLexer::Next() {
  statement_ = {};
  statement_.offset = at_;
  while (at_ < text_.size()) {
    const std::string_view rest = text_.substr(at_);
    const char c = rest[0];
    if (IsSpace(c)) {
      SkipOrEcho(1);
    } else if (rest.starts_with("--")) {
      SkipOrEcho(Length(at_, [](char next) { return next != '\n' && next != '\r'; }));
    } else if (rest.starts_with("/*")) {
      EchoComment();
    } else if (c == '\'' || c == '"') {
      EchoQuoted(c);
    } else if ((c == 'E' || c == 'e') && rest.substr(1).starts_with("'")) {
      EchoEscapeString();
    } else if (c == '$') {
      const size_t tag =
          at_ + 1 < text_.size() && IsDigit(rest[1]) ? 0 : Length(at_ + 1, VariableNames::IsPart);
      if (rest.substr(tag + 1).starts_with("$")) {
        EchoDollarQuoted(rest.substr(0, tag + 2));
      } else {
        Echo(1);
      }
    } else if (VariableNames::IsStart(c)) {
      EchoWord();
    } else if (IsDigit(c)) {
      // With the letters right after it, which begin no string.
      Echo(Length(at_, [](char next) { return IsWordPart(next) || next == '.'; }));
    } else if (rest.starts_with(":{?")) {
      EchoTest();
    } else if (c == '\\') {
      ++at_;
      if (!rest.substr(1).starts_with(";") && !rest.substr(1).starts_with(":")) {
        statement_.end = End::kBackslash;
        return std::move(statement_);
      }
      if (rest[1] == ';') words_ = 0;
      Echo(1);
    } else {
      if (c == '(') ++parentheses_;
      if (c == ')' && parentheses_ > 0) --parentheses_;
      Echo(1);
      if (c == ';' && parentheses_ == 0 && blocks_ == 0) {
        words_ = 0;
        statement_.end = End::kSemicolon;
        return std::move(statement_);
      }
    }
  }
  return std::move(statement_);
}

// Comments may stand in each other.
void SqlLexer::EchoComment() {
  int depth = 0;
  size_t end = at_;
  do {
    const std::string_view rest = text_.substr(end);
    if (rest.starts_with("/*")) {
      ++depth;
      end += 2;
    } else if (rest.starts_with("*/")) {
      --depth;
      end += 2;
    } else {
      ++end;
    }
  } while (depth > 0 && end < text_.size());
  Echo(end - at_);
}

// A doubled quote ends one literal and begins the next, which comes to the same.
void SqlLexer::EchoQuoted(char quote) {
  const size_t end = text_.find(quote, at_ + 1);
  Echo(end == std::string_view::npos ? text_.size() - at_ : end + 1 - at_);
}

void SqlLexer::EchoEscapeString() {
  // At the opening quote.
  size_t end = at_ + 1;
  while (true) {
    ++end;
    while (end < text_.size() && text_[end] != '\'') end += text_[end] == '\\' ? 2 : 1;
    end = std::min(end, text_.size());
    if (end == text_.size()) break;
    ++end;
    // It goes on after a doubled quote, and on another line.
    if (end < text_.size() && text_[end] == '\'') continue;
    const size_t space = Length(end, IsSpace);
    if (text_.substr(end, space).find('\n') == std::string_view::npos) break;
    if (!text_.substr(end + space).starts_with("'")) break;
    end += space;
  }
  Echo(end - at_);
}

void SqlLexer::EchoDollarQuoted(std::string_view tag) {
  const size_t end = text_.find(tag, at_ + tag.size());
  Echo(end == std::string_view::npos ? text_.size() - at_ : end + tag.size() - at_);
}

void SqlLexer::EchoWord() {
  const size_t length = Length(at_, IsWordPart);
  CountWord(text_.substr(at_, length));
  Echo(length);
}

// :{?name} asks whether psql has that variable, and pgbench has none of psql's.
void SqlLexer::EchoTest() {
  const size_t name = Length(at_ + 3, VariableNames::IsPart);
  if (name == 0 || !text_.substr(at_ + 3 + name).starts_with("}")) {
    Echo(1);
    return;
  }
  Echo(0);
  statement_.sql += "FALSE";
  at_ += 3 + name + 1;
}

// The body of a function may be statements between BEGIN and END, with semicolons of their own.
void SqlLexer::CountWord(std::string_view word) {
  if (words_ == 0) first_words_ = {};
  for (const absl::string_view keyword : {"create", "function", "procedure", "or", "replace"}) {
    if (Is(word, keyword) && words_ < first_words_.size()) first_words_[words_] = keyword[0];
  }
  ++words_;
  const auto [create, second, replace, fourth] = first_words_;
  const auto makes = [](char first) { return first == 'f' || first == 'p'; };
  const bool body = create == 'c' && (makes(second) || (second == 'o' && replace == 'r' && makes(fourth)));
  if (!body || parentheses_ > 0) return;
  if (Is(word, "begin") || (Is(word, "case") && blocks_ > 0)) {
    ++blocks_;
  } else if (Is(word, "end") && blocks_ > 0) {
    --blocks_;
  }
}

}  // namespace trunkload

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trunkload {

// Cuts a script into SQL statements, by psql's rules: a statement ends at a semicolon that stands in no
// quotes, comment, parentheses or body of a function, at a backslash, or where the script ends. Not
// thread-safe.
class SqlLexer {
 public:
  // `text` must outlive it.
  explicit SqlLexer(std::string_view text) : text_(text) {}

  enum class End : uint8_t { kSemicolon, kBackslash, kText };
  struct Statement {
    // As it is to be sent: without blanks and comments before its first character, with \; as ; and \: as :.
    std::string sql;
    size_t offset = 0;  // of its first character
    End end = End::kText;
  };
  // The next one, which may be empty. After a backslash, at() is right behind it.
  Statement Next();

  size_t at() const { return at_; }
  // Goes on from there: behind a meta command.
  void MoveTo(size_t at) { at_ = at; }

 private:
  void Echo(size_t length);
  void SkipOrEcho(size_t length);
  void EchoComment();
  void EchoQuoted(char quote);
  void EchoEscapeString();
  void EchoDollarQuoted(std::string_view tag);
  void EchoWord();
  void EchoTest();
  void CountWord(std::string_view word);
  // How many characters from `from` on `is` holds of.
  template <class Predicate>
  size_t Length(size_t from, Predicate is) const;

  const std::string_view text_;
  size_t at_ = 0;
  Statement statement_;
  // What is open in the statement. A backslash ends a statement but closes nothing.
  int parentheses_ = 0;
  int blocks_ = 0;
  // The first letters of those of the statement's first words that say whether it makes a function.
  std::array<char, 4> first_words_ = {};
  size_t words_ = 0;
};

}  // namespace trunkload

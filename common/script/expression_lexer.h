#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/script/source.h"
#include "common/script/value.h"

namespace trunkload {

// Operators by their signs, words by their names.
enum class Sign : uint8_t {
  kEnd,
  kConstant,  // NULL, a boolean, an integer or a double
  kMinimum,   // 9223372036854775808, which only a minus before it makes an integer
  kVariable,  // the text is its name
  kName,      // of a function
  kOpen,
  kClose,
  kComma,
  kOr,
  kAnd,
  kNot,
  kIs,
  kIsNull,
  kNotNull,
  kEqual,
  kNotEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kBitOr,
  kBitXor,
  kBitAnd,
  kShiftLeft,
  kShiftRight,
  kBitNot,
  kPlus,
  kMinus,
  kTimes,
  kDivide,
  kModulo,
  kCase,
  kWhen,
  kThen,
  kElse,
  kCaseEnd,
};

struct Token {
  Sign sign = Sign::kEnd;
  size_t offset = 0;
  std::string_view text;  // as it stands in the script; of a variable without its colon
  Value constant;
};

// Cuts an expression of pgbench's language into tokens. Not thread-safe.
class ExpressionLexer {
 public:
  // Of the source's text from `from` to `to`.
  ExpressionLexer(const ScriptSource& source, size_t from, size_t to)
      : source_(source), text_(source.text().substr(0, to)), at_(from) {}

  // INVALID_ARGUMENT at a character that belongs to no token, or a number that is too large.
  absl::StatusOr<Token> Next();

 private:
  void SkipSpace();
  Token Take(Sign sign, size_t length);
  absl::StatusOr<Token> Number();
  Token Word();
  size_t Digits(size_t from) const;

  const ScriptSource& source_;
  const std::string_view text_;
  size_t at_;
};

}  // namespace trunkload

#include "common/script/expression_lexer.h"

#include <charconv>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/script/variables.h"

namespace trunkload {
namespace {

constexpr std::pair<std::string_view, Sign> kWords[] = {
    {"and", Sign::kAnd},         {"or", Sign::kOr},     {"not", Sign::kNot},    {"is", Sign::kIs},
    {"isnull", Sign::kIsNull},   {"case", Sign::kCase}, {"when", Sign::kWhen},  {"then", Sign::kThen},
    {"notnull", Sign::kNotNull}, {"else", Sign::kElse}, {"end", Sign::kCaseEnd}};

// The longer ones first.
constexpr std::pair<std::string_view, Sign> kSigns[] = {
    {"<=", Sign::kLessOrEqual}, {">=", Sign::kGreaterOrEqual},
    {"<>", Sign::kNotEqual},    {"!=", Sign::kNotEqual},
    {"<<", Sign::kShiftLeft},   {">>", Sign::kShiftRight},
    {"<", Sign::kLess},         {">", Sign::kGreater},
    {"=", Sign::kEqual},        {"|", Sign::kBitOr},
    {"#", Sign::kBitXor},       {"&", Sign::kBitAnd},
    {"~", Sign::kBitNot},       {"+", Sign::kPlus},
    {"-", Sign::kMinus},        {"*", Sign::kTimes},
    {"/", Sign::kDivide},       {"%", Sign::kModulo},
    {"(", Sign::kOpen},         {")", Sign::kClose},
    {",", Sign::kComma}};

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

// A backslash at the end of a line continues it.
void ExpressionLexer::SkipSpace() {
  while (at_ < text_.size()) {
    const std::string_view rest = text_.substr(at_);
    if (absl::ascii_isspace(static_cast<unsigned char>(rest[0]))) {
      ++at_;
    } else if (rest.starts_with("\\\n")) {
      at_ += 2;
    } else if (rest.starts_with("\\\r\n")) {
      at_ += 3;
    } else {
      return;
    }
  }
}

Token ExpressionLexer::Take(Sign sign, size_t length) {
  Token token{.sign = sign, .offset = at_, .text = text_.substr(at_, length), .constant = {}};
  at_ += length;
  return token;
}

absl::StatusOr<Token> ExpressionLexer::Next() {
  SkipSpace();
  if (at_ >= text_.size()) return Take(Sign::kEnd, 0);
  const char c = text_[at_];
  if (IsDigit(c) || (c == '.' && Digits(at_ + 1) > 0)) return Number();
  if (VariableNames::IsStart(c)) return Word();
  if (c == ':') {
    size_t end = at_ + 1;
    while (end < text_.size() && VariableNames::IsPart(text_[end])) ++end;
    if (end == at_ + 1) return source_.Wrong(at_, "expected the name of a variable after ':'");
    Token token = Take(Sign::kVariable, end - at_);
    token.text.remove_prefix(1);
    return token;
  }
  for (const auto& [sign, value] : kSigns) {
    if (text_.substr(at_).starts_with(sign)) return Take(value, sign.size());
  }
  return source_.Wrong(at_, absl::StrCat("unexpected character \"", std::string(1, c), "\""));
}

size_t ExpressionLexer::Digits(size_t from) const {
  size_t end = from;
  while (end < text_.size() && IsDigit(text_[end])) ++end;
  return end - from;
}

absl::StatusOr<Token> ExpressionLexer::Number() {
  const size_t whole = Digits(at_);
  size_t length = whole;
  if (at_ + length < text_.size() && text_[at_ + length] == '.') length += 1 + Digits(at_ + length + 1);
  if (at_ + length < text_.size() && (text_[at_ + length] == 'e' || text_[at_ + length] == 'E')) {
    size_t exponent = 1;
    const char sign = at_ + length + 1 < text_.size() ? text_[at_ + length + 1] : '\0';
    if (sign == '+' || sign == '-') ++exponent;
    // Without digits the letter begins a word.
    const size_t digits = Digits(at_ + length + exponent);
    if (digits > 0) length += exponent + digits;
  }
  Token token = Take(Sign::kConstant, length);
  if (length == whole) {
    int64_t integer;
    const auto [end, error] =
        std::from_chars(token.text.data(), token.text.data() + token.text.size(), integer);
    if (error == std::errc()) {
      token.constant = Value::Integer(integer);
    } else if (token.text == "9223372036854775808") {
      token.sign = Sign::kMinimum;
    } else {
      return source_.Wrong(token.offset, "an integer that takes more than 64 bits");
    }
    return token;
  }
  const absl::StatusOr<double> real = ParseDouble(std::string(token.text));
  if (!real.ok()) return source_.Wrong(token.offset, "a double that is out of range");
  token.constant = Value::Double(*real);
  return token;
}

Token ExpressionLexer::Word() {
  size_t end = at_ + 1;
  while (end < text_.size() && VariableNames::IsPart(text_[end])) ++end;
  Token token = Take(Sign::kName, end - at_);
  const absl::string_view word = View(token.text);
  for (const auto& [name, sign] : kWords) {
    if (absl::EqualsIgnoreCase(word, View(name))) token.sign = sign;
  }
  if (absl::EqualsIgnoreCase(word, "null")) {
    token.sign = Sign::kConstant;
  } else if (absl::EqualsIgnoreCase(word, "true") || absl::EqualsIgnoreCase(word, "false")) {
    token.sign = Sign::kConstant;
    token.constant = Value::Boolean(absl::EqualsIgnoreCase(word, "true"));
  }
  return token;
}

}  // namespace trunkload

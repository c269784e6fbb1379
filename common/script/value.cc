#include "common/script/value.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

// A prefix of the word; a shorter one than `least` could mean another word.
bool Abbreviates(std::string_view text, absl::string_view word, size_t least) {
  return text.size() >= least && absl::StartsWithIgnoreCase(word, View(text));
}

size_t Copy(std::string_view text, char* to) {
  return text.copy(to, text.size());
}

bool LooksLikeInteger(std::string_view text) {
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.front())))
    text.remove_prefix(1);
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  size_t digits = 0;
  while (digits < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[digits]))) ++digits;
  return digits > 0 && digits == text.size();
}

}  // namespace

std::string_view TypeName(Value::Type type) {
  switch (type) {
    case Value::Type::kNull:
      return "null";
    case Value::Type::kBoolean:
      return "boolean";
    case Value::Type::kInteger:
      return "int";
    case Value::Type::kDouble:
      return "double";
  }
  return "";
}

size_t WriteValue(const Value& value, char* to) {
  switch (value.type()) {
    case Value::Type::kNull:
      return Copy("NULL", to);
    case Value::Type::kBoolean:
      return Copy(value.boolean() ? "true" : "false", to);
    case Value::Type::kInteger:
      return static_cast<size_t>(std::to_chars(to, to + kValueTextBytes, value.integer()).ptr - to);
    case Value::Type::kDouble:
      // As PostgreSQL writes them.
      if (std::isnan(value.real())) return Copy("NaN", to);
      if (std::isinf(value.real())) return Copy(value.real() < 0 ? "-Infinity" : "Infinity", to);
      return static_cast<size_t>(std::snprintf(to, kValueTextBytes, "%.15g", value.real()));
  }
  return 0;
}

std::string ToText(const Value& value) {
  char text[kValueTextBytes];
  return std::string(text, WriteValue(value, text));
}

absl::StatusOr<Value> ParseValue(std::string_view text) {
  if (absl::EqualsIgnoreCase(View(text), "null")) return Value();
  if (Abbreviates(text, "true", 1) || Abbreviates(text, "yes", 1) ||
      absl::EqualsIgnoreCase(View(text), "on")) {
    return Value::Boolean(true);
  }
  if (Abbreviates(text, "false", 1) || Abbreviates(text, "no", 1) || Abbreviates(text, "off", 2)) {
    return Value::Boolean(false);
  }
  if (LooksLikeInteger(text)) {
    int64_t integer;
    if (absl::SimpleAtoi(View(text), &integer)) return Value::Integer(integer);
    return absl::InvalidArgumentError(
        absl::StrCat("value \"", View(text), "\" is out of range for type bigint"));
  }
  const absl::StatusOr<double> real = ParseDouble(std::string(text));
  if (real.ok()) return Value::Double(*real);
  return real.status();
}

absl::StatusOr<double> ParseDouble(const std::string& text) {
  errno = 0;
  char* end;
  const double real = std::strtod(text.c_str(), &end);
  if (errno != 0) {
    return absl::OutOfRangeError(absl::StrCat("value \"", text, "\" is out of range for type double"));
  }
  if (end == text.c_str() || *end != '\0') {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no number, boolean or NULL"));
  }
  return real;
}

}  // namespace trunkload

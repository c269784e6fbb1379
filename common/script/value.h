#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace trunkload {

// What an expression of a script gives: NULL, a boolean, a 64-bit integer or a double.
class Value {
 public:
  enum class Type : uint8_t { kNull, kBoolean, kInteger, kDouble };

  Value() : integer_(0), type_(Type::kNull) {}
  static Value Boolean(bool value) {
    Value made;
    made.type_ = Type::kBoolean;
    made.integer_ = value;
    return made;
  }
  static Value Integer(int64_t value) {
    Value made;
    made.type_ = Type::kInteger;
    made.integer_ = value;
    return made;
  }
  static Value Double(double value) {
    Value made;
    made.type_ = Type::kDouble;
    made.real_ = value;
    return made;
  }

  Type type() const { return type_; }
  bool is_null() const { return type_ == Type::kNull; }
  bool is_double() const { return type_ == Type::kDouble; }
  // Each only of a value of that type.
  bool boolean() const { return integer_ != 0; }
  int64_t integer() const { return integer_; }
  double real() const { return real_; }

  // As \if and CASE take it: a number is true unless it is 0, NULL is false.
  bool IsTrue() const { return type_ == Type::kDouble ? real_ != 0 : type_ != Type::kNull && integer_ != 0; }
  // The same type and the same value; as IS compares.
  bool operator==(const Value& other) const {
    if (type_ != other.type_) return false;
    return type_ == Type::kDouble ? real_ == other.real_ : integer_ == other.integer_;
  }

 private:
  union {
    int64_t integer_;
    double real_;
  };
  Type type_;
};

// "null", "boolean", "int" or "double", as pgbench's messages say.
std::string_view TypeName(Value::Type type);

// The most that WriteValue needs.
inline constexpr size_t kValueTextBytes = 32;
// As it goes into a statement: NULL, true, 42, 0.1 (%.15g). Returns the length; `to` has room for
// kValueTextBytes.
size_t WriteValue(const Value& value, char* to);
std::string ToText(const Value& value);

// The value that a variable given as text has where an expression uses it. INVALID_ARGUMENT where it has
// none.
absl::StatusOr<Value> ParseValue(std::string_view text);
// As strtod reads it. OUT_OF_RANGE where it is too large, or too near to 0, to be held in full;
// INVALID_ARGUMENT where it is no number.
absl::StatusOr<double> ParseDouble(const std::string& text);

}  // namespace trunkload

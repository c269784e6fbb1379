#include "common/script/function.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/script/draws.h"
#include "common/script/hash.h"

namespace trunkload {
namespace {

absl::Status CannotBe(const Value& value, std::string_view type) {
  const std::string_view is = TypeName(value.type());
  return absl::InvalidArgumentError(
      absl::StrCat("cannot coerce ", std::string(is), " to ", std::string(type)));
}

absl::StatusOr<int64_t> AsInteger(const Value& value) {
  if (value.type() == Value::Type::kInteger) return value.integer();
  if (!value.is_double()) return CannotBe(value, "int");
  // To even where it lies between two.
  const double rounded = std::rint(value.real());
  // -2^63 can be held, 2^63 can't; NaN is neither.
  if (rounded >= -0x1p63 && rounded < 0x1p63) return static_cast<int64_t>(rounded);
  return absl::InvalidArgumentError(absl::StrFormat("double to int overflow for %f", value.real()));
}

absl::StatusOr<double> AsDouble(const Value& value) {
  if (value.is_double()) return value.real();
  if (value.type() == Value::Type::kInteger) return static_cast<double>(value.integer());
  return CannotBe(value, "double");
}

absl::StatusOr<Value> Calculate(Operation operation, double left, double right) {
  switch (operation) {
    case Operation::kAdd:
      return Value::Double(left + right);
    case Operation::kSubtract:
      return Value::Double(left - right);
    case Operation::kMultiply:
      return Value::Double(left * right);
    case Operation::kDivide:
      return Value::Double(left / right);
    case Operation::kEqual:
      return Value::Boolean(left == right);
    case Operation::kNotEqual:
      return Value::Boolean(left != right);
    case Operation::kLess:
      return Value::Boolean(left < right);
    default:
      return Value::Boolean(left <= right);
  }
}

absl::StatusOr<Value> Divide(Operation operation, int64_t left, int64_t right) {
  if (right == 0) return absl::InvalidArgumentError("division by zero");
  if (right != -1) return Value::Integer(operation == Operation::kDivide ? left / right : left % right);
  // The one quotient that is no 64-bit integer; the processor refuses even its remainder.
  if (operation == Operation::kModulo) return Value::Integer(0);
  if (left == INT64_MIN) return absl::InvalidArgumentError("bigint div out of range");
  return Value::Integer(-left);
}

absl::StatusOr<Value> Calculate(Operation operation, int64_t left, int64_t right) {
  int64_t result;
  switch (operation) {
    case Operation::kAdd:
      if (!__builtin_add_overflow(left, right, &result)) return Value::Integer(result);
      return absl::InvalidArgumentError("bigint add out of range");
    case Operation::kSubtract:
      if (!__builtin_sub_overflow(left, right, &result)) return Value::Integer(result);
      return absl::InvalidArgumentError("bigint sub out of range");
    case Operation::kMultiply:
      if (!__builtin_mul_overflow(left, right, &result)) return Value::Integer(result);
      return absl::InvalidArgumentError("bigint mul out of range");
    case Operation::kDivide:
    case Operation::kModulo:
      return Divide(operation, left, right);
    case Operation::kEqual:
      return Value::Boolean(left == right);
    case Operation::kNotEqual:
      return Value::Boolean(left != right);
    case Operation::kLess:
      return Value::Boolean(left < right);
    case Operation::kLessOrEqual:
      return Value::Boolean(left <= right);
    case Operation::kBitAnd:
      return Value::Integer(left & right);
    case Operation::kBitOr:
      return Value::Integer(left | right);
    case Operation::kBitXor:
      return Value::Integer(left ^ right);
    // A shift by more than 63 is undefined in C; every processor that PostgreSQL runs on takes the low six
    // bits.
    case Operation::kShiftLeft:
      return Value::Integer(static_cast<int64_t>(static_cast<uint64_t>(left) << (right & 63)));
    default:
      return Value::Integer(left >> (right & 63));
  }
}

// What `function` makes of two arguments, once both are what it takes.
template <typename Number, typename Function>
absl::StatusOr<Value> OfTwo(std::span<const Value> arguments, absl::StatusOr<Number> (*as)(const Value&),
                            Function function) {
  const absl::StatusOr<Number> left = as(arguments[0]);
  if (!left.ok()) return left.status();
  const absl::StatusOr<Number> right = as(arguments[1]);
  if (!right.ok()) return right.status();
  return function(*left, *right);
}

absl::StatusOr<Value> CalculateIntegers(Operation operation, std::span<const Value> arguments) {
  return OfTwo(arguments, AsInteger,
               [operation](int64_t left, int64_t right) { return Calculate(operation, left, right); });
}

absl::StatusOr<Value> CalculateNumbers(Operation operation, std::span<const Value> arguments) {
  if (!arguments[0].is_double() && !arguments[1].is_double()) return CalculateIntegers(operation, arguments);
  return OfTwo(arguments, AsDouble,
               [operation](double left, double right) { return Calculate(operation, left, right); });
}

absl::StatusOr<Value> OfDouble(const Value& argument, double (*function)(double)) {
  const absl::StatusOr<double> real = AsDouble(argument);
  if (!real.ok()) return real.status();
  return Value::Double(function(*real));
}

absl::StatusOr<Value> Power(std::span<const Value> arguments) {
  return OfTwo(arguments, AsDouble,
               [](double base, double exponent) { return Value::Double(std::pow(base, exponent)); });
}

template <typename Number>
absl::StatusOr<Number> Extreme(Operation operation, std::span<const Value> arguments,
                               absl::StatusOr<Number> (*as)(const Value&)) {
  absl::StatusOr<Number> best = as(arguments[0]);
  for (const Value& argument : arguments.subspan(1)) {
    if (!best.ok()) break;
    const absl::StatusOr<Number> next = as(argument);
    if (!next.ok() || (operation == Operation::kLeast ? *next < *best : *next > *best)) best = next;
  }
  return best;
}

// The least or the greatest; doubles where one of them is.
absl::StatusOr<Value> Extreme(Operation operation, std::span<const Value> arguments) {
  if (std::any_of(arguments.begin(), arguments.end(), [](const Value& v) { return v.is_double(); })) {
    const absl::StatusOr<double> best = Extreme(operation, arguments, AsDouble);
    return best.ok() ? absl::StatusOr<Value>(Value::Double(*best)) : best.status();
  }
  const absl::StatusOr<int64_t> best = Extreme(operation, arguments, AsInteger);
  return best.ok() ? absl::StatusOr<Value>(Value::Integer(*best)) : best.status();
}

absl::StatusOr<Value> Hash(Operation operation, std::span<const Value> arguments) {
  return OfTwo(arguments, AsInteger, [operation](int64_t value, int64_t seed) {
    const auto hash = operation == Operation::kHashFnv1a ? HashFnv1a : HashMurmur2;
    return Value::Integer(hash(value, static_cast<uint64_t>(seed)));
  });
}

absl::StatusOr<Value> PermuteValue(std::span<const Value> arguments) {
  int64_t integers[3];
  for (int i = 0; i < 3; ++i) {
    const absl::StatusOr<int64_t> integer = AsInteger(arguments[static_cast<size_t>(i)]);
    if (!integer.ok()) return integer.status();
    integers[i] = *integer;
  }
  if (integers[1] <= 0) return absl::InvalidArgumentError("permute size parameter must be greater than zero");
  return Value::Integer(Permute(integers[0], integers[1], integers[2]));
}

absl::StatusOr<Value> Draw(Operation operation, std::span<const Value> arguments, Random& random) {
  const absl::StatusOr<int64_t> low = AsInteger(arguments[0]);
  if (!low.ok()) return low.status();
  const absl::StatusOr<int64_t> high = AsInteger(arguments[1]);
  if (!high.ok()) return high.status();
  absl::StatusOr<int64_t> drawn;
  if (operation == Operation::kRandom) {
    drawn = DrawUniform(random, *low, *high);
  } else {
    const absl::StatusOr<double> parameter = AsDouble(arguments[2]);
    if (!parameter.ok()) return parameter.status();
    const auto draw = operation == Operation::kRandomExponential ? DrawExponential
                      : operation == Operation::kRandomGaussian  ? DrawGaussian
                                                                 : DrawZipfian;
    drawn = draw(random, *low, *high, *parameter);
  }
  if (!drawn.ok()) return drawn.status();
  return Value::Integer(*drawn);
}

}  // namespace

absl::StatusOr<bool> AsBoolean(const Value& value) {
  if (value.type() == Value::Type::kBoolean) return value.boolean();
  return CannotBe(value, "boolean");
}

absl::StatusOr<Value> Apply(Operation operation, std::span<const Value> arguments,
                            const Evaluation& evaluation) {
  if (operation == Operation::kIs) return Value::Boolean(arguments[0] == arguments[1]);
  if (operation == Operation::kDebug) {
    evaluation.debug(arguments[0]);
    return arguments[0];
  }
  for (const Value& argument : arguments) {
    if (argument.is_null()) return Value();
  }
  switch (operation) {
    case Operation::kNot: {
      const absl::StatusOr<bool> truth = AsBoolean(arguments[0]);
      if (!truth.ok()) return truth.status();
      return Value::Boolean(!*truth);
    }
    case Operation::kAdd:
    case Operation::kSubtract:
    case Operation::kMultiply:
    case Operation::kDivide:
    case Operation::kEqual:
    case Operation::kNotEqual:
    case Operation::kLess:
    case Operation::kLessOrEqual:
      return CalculateNumbers(operation, arguments);
    case Operation::kModulo:
    case Operation::kBitAnd:
    case Operation::kBitOr:
    case Operation::kBitXor:
    case Operation::kShiftLeft:
    case Operation::kShiftRight:
      return CalculateIntegers(operation, arguments);
    case Operation::kAbs:
      if (arguments[0].type() == Value::Type::kInteger) {
        const int64_t integer = arguments[0].integer();
        return Value::Integer(integer < 0 ? static_cast<int64_t>(-static_cast<uint64_t>(integer)) : integer);
      }
      return OfDouble(arguments[0], std::fabs);
    case Operation::kDouble:
      return OfDouble(arguments[0], [](double real) { return real; });
    case Operation::kExp:
      return OfDouble(arguments[0], std::exp);
    case Operation::kLn:
      return OfDouble(arguments[0], std::log);
    case Operation::kSqrt:
      return OfDouble(arguments[0], std::sqrt);
    case Operation::kPower:
      return Power(arguments);
    case Operation::kInt: {
      const absl::StatusOr<int64_t> integer = AsInteger(arguments[0]);
      if (!integer.ok()) return integer.status();
      return Value::Integer(*integer);
    }
    case Operation::kGreatest:
    case Operation::kLeast:
      return Extreme(operation, arguments);
    case Operation::kHashFnv1a:
    case Operation::kHashMurmur2:
      return Hash(operation, arguments);
    case Operation::kPermute:
      return PermuteValue(arguments);
    case Operation::kPi:
      return Value::Double(std::numbers::pi);
    case Operation::kRandom:
    case Operation::kRandomExponential:
    case Operation::kRandomGaussian:
    case Operation::kRandomZipfian:
      return Draw(operation, arguments, evaluation.random);
    default:
      return absl::InternalError("an instruction that computes nothing");
  }
}

}  // namespace trunkload

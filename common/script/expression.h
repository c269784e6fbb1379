#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/random.h"
#include "common/script/value.h"
#include "common/script/variables.h"

namespace trunkload {

// What one instruction of an expression does with the stack of values. Those that compute take their
// arguments off it, the last on top, and put their result there; NULL among them makes it NULL, but for kIs
// and kDebug.
enum class Operation : uint8_t {
  kConstant,        // puts constant number `operand`
  kVariable,        // puts variable number `operand`
  kJump,            // skips so many instructions as `operand` says
  kJumpUnlessTrue,  // takes one; skips `operand` instructions unless it is true
  kAndElse,         // skips `operand` where the top, which must be boolean, is false or NULL; else takes it
  kOrElse,          // the same where it is true or NULL
  kAsBoolean,       // the top must be boolean or NULL
  kNot,
  kIs,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kBitAnd,
  kBitOr,
  kBitXor,
  kShiftLeft,
  kShiftRight,
  kEqual,
  kNotEqual,
  kLess,
  kLessOrEqual,
  kAbs,
  kDebug,
  kDouble,
  kExp,
  kGreatest,
  kHashFnv1a,
  kHashMurmur2,
  kInt,
  kLeast,
  kLn,
  kPermute,
  kPi,
  kPower,
  kRandom,
  kRandomExponential,
  kRandomGaussian,
  kRandomZipfian,
  kSqrt,
};

struct Instruction {
  Operation operation;
  uint8_t arguments = 0;
  uint32_t operand = 0;
};

// What an expression needs from the client that evaluates it.
struct Evaluation {
  Variables& variables;
  Random& random;
  absl::FunctionRef<void(const Value&)> debug;
};

// A parsed expression of pgbench's language, as a program for a stack machine. Thread-safe once made;
// evaluating one allocates nothing unless it fails, or nests deeper than anybody writes.
class Expression {
 public:
  // `depth`: the most values that are ever on the stack.
  Expression(std::vector<Instruction> code, std::vector<Value> constants, size_t depth)
      : code_(std::move(code)), constants_(std::move(constants)), depth_(depth) {}

  // The value, or what went wrong, in pgbench's words.
  absl::StatusOr<Value> Evaluate(const Evaluation& evaluation) const;

 private:
  absl::StatusOr<Value> Run(const Evaluation& evaluation, Value* stack) const;

  std::vector<Instruction> code_;
  std::vector<Value> constants_;
  size_t depth_;
};

}  // namespace trunkload

#include "common/script/expression_parser.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/script/expression_lexer.h"

namespace trunkload {
namespace {

// Parentheses, CASEs and signs within each other: far beyond what is written, and within any thread's stack.
constexpr int kDeepest = 200;
constexpr size_t kMostArguments = 16;

// From the loosest to the tightest.
enum Binding { kLoosest, kOrs, kAnds, kNots, kTests, kComparisons, kBits, kSums, kProducts, kUnary };

struct Operator {
  Sign sign;
  Binding binding;
  Operation operation;
  // pgbench has no operators for these: it writes the operands the other way round, and evaluates them so.
  bool swaps = false;
};

constexpr Operator kOperators[] = {{Sign::kEqual, kComparisons, Operation::kEqual},
                                   {Sign::kNotEqual, kComparisons, Operation::kNotEqual},
                                   {Sign::kLess, kComparisons, Operation::kLess},
                                   {Sign::kLessOrEqual, kComparisons, Operation::kLessOrEqual},
                                   {Sign::kGreater, kComparisons, Operation::kLess, true},
                                   {Sign::kGreaterOrEqual, kComparisons, Operation::kLessOrEqual, true},
                                   {Sign::kBitOr, kBits, Operation::kBitOr},
                                   {Sign::kBitXor, kBits, Operation::kBitXor},
                                   {Sign::kBitAnd, kBits, Operation::kBitAnd},
                                   {Sign::kShiftLeft, kBits, Operation::kShiftLeft},
                                   {Sign::kShiftRight, kBits, Operation::kShiftRight},
                                   {Sign::kPlus, kSums, Operation::kAdd},
                                   {Sign::kMinus, kSums, Operation::kSubtract},
                                   {Sign::kTimes, kProducts, Operation::kMultiply},
                                   {Sign::kDivide, kProducts, Operation::kDivide},
                                   {Sign::kModulo, kProducts, Operation::kModulo}};

struct Function {
  std::string_view name;
  Operation operation;
  size_t least;
  size_t most;
  // The last argument, where it is left out, is :default_seed.
  bool seeded = false;
};

constexpr Function kFunctions[] = {{"abs", Operation::kAbs, 1, 1},
                                   {"debug", Operation::kDebug, 1, 1},
                                   {"double", Operation::kDouble, 1, 1},
                                   {"exp", Operation::kExp, 1, 1},
                                   {"greatest", Operation::kGreatest, 1, kMostArguments},
                                   {"hash", Operation::kHashMurmur2, 1, 2, true},
                                   {"hash_fnv1a", Operation::kHashFnv1a, 1, 2, true},
                                   {"hash_murmur2", Operation::kHashMurmur2, 1, 2, true},
                                   {"int", Operation::kInt, 1, 1},
                                   {"least", Operation::kLeast, 1, kMostArguments},
                                   {"ln", Operation::kLn, 1, 1},
                                   {"mod", Operation::kModulo, 2, 2},
                                   {"permute", Operation::kPermute, 2, 3, true},
                                   {"pi", Operation::kPi, 0, 0},
                                   {"pow", Operation::kPower, 2, 2},
                                   {"power", Operation::kPower, 2, 2},
                                   {"random", Operation::kRandom, 2, 2},
                                   {"random_exponential", Operation::kRandomExponential, 3, 3},
                                   {"random_gaussian", Operation::kRandomGaussian, 3, 3},
                                   {"random_zipfian", Operation::kRandomZipfian, 3, 3},
                                   {"sqrt", Operation::kSqrt, 1, 1}};

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

// Precedence climbing; the program is written while the expression is read. Jumps are relative, so that a
// part of the program may still be moved as a whole.
class Parser {
 public:
  Parser(const ScriptSource& source, size_t from, size_t to, VariableNames& names)
      : source_(source), lexer_(source, from, to), names_(names) {}

  absl::StatusOr<Expression> Parse() {
    if (absl::Status status = Advance(); !status.ok()) return status;
    if (absl::Status status = Operand(kLoosest); !status.ok()) return status;
    if (token_.sign != Sign::kEnd) return Unexpected("an operator");
    return Expression(std::move(code_), std::move(constants_), static_cast<size_t>(deepest_));
  }

 private:
  absl::Status Advance() {
    absl::StatusOr<Token> token = lexer_.Next();
    if (!token.ok()) return token.status();
    token_ = *token;
    return absl::OkStatus();
  }

  absl::Status Unexpected(absl::string_view expected) const {
    if (token_.sign == Sign::kEnd) {
      return source_.Wrong(token_.offset,
                           absl::StrCat("the expression ends where ", expected, " should come"));
    }
    return source_.Wrong(token_.offset,
                         absl::StrCat("expected ", expected, ", not \"", View(token_.text), "\""));
  }

  absl::Status Expect(Sign sign, absl::string_view expected) {
    return token_.sign == sign ? Advance() : Unexpected(expected);
  }

  // --- Writing the program.

  // `grows`: by how much it changes the number of values on the stack.
  size_t Emit(Operation operation, int grows, size_t arguments = 0, size_t operand = 0) {
    code_.push_back({operation, static_cast<uint8_t>(arguments), static_cast<uint32_t>(operand)});
    depth_ += grows;
    deepest_ = std::max(deepest_, depth_);
    return code_.size() - 1;
  }
  void Compute(Operation operation, size_t arguments) {
    Emit(operation, 1 - static_cast<int>(arguments), arguments);
  }
  void PushConstant(const Value& value) {
    constants_.push_back(value);
    Emit(Operation::kConstant, 1, 0, constants_.size() - 1);
  }
  // The jump goes to what comes next.
  void LandHere(size_t jump) { code_[jump].operand = static_cast<uint32_t>(code_.size() - jump - 1); }

  // --- Reading the expression.

  // An operand, and what follows it that binds as tightly as `least` or tighter.
  absl::Status Operand(Binding least) {
    if (++nested_ > kDeepest) return source_.Wrong(token_.offset, "the expression is nested too deeply");
    const size_t start = code_.size();
    absl::Status status = Prefix();
    bool more = true;
    while (status.ok() && more) {
      more = false;
      status = Infix(least, start, more);
    }
    --nested_;
    return status;
  }

  // What an operand begins with.
  absl::Status Prefix() {
    const Token token = token_;
    if (token.sign == Sign::kName) return Call();
    if (token.sign == Sign::kEnd) return Unexpected("a value");
    if (absl::Status status = Advance(); !status.ok()) return status;
    switch (token.sign) {
      case Sign::kConstant:
        PushConstant(token.constant);
        return absl::OkStatus();
      case Sign::kVariable:
        Emit(Operation::kVariable, 1, 0, names_.Number(token.text));
        return absl::OkStatus();
      case Sign::kOpen:
        if (absl::Status status = Operand(kLoosest); !status.ok()) return status;
        return Expect(Sign::kClose, "\")\"");
      case Sign::kPlus:
        return Operand(kUnary);
      case Sign::kMinus:
        if (token_.sign == Sign::kMinimum) {
          PushConstant(Value::Integer(INT64_MIN));
          return Advance();
        }
        PushConstant(Value::Integer(0));
        return Then(kUnary, Operation::kSubtract, 2);
      case Sign::kBitNot:
        PushConstant(Value::Integer(-1));
        return Then(kSums, Operation::kBitXor, 2);
      case Sign::kNot:
        return Then(kNots, Operation::kNot, 1);
      case Sign::kCase:
        return Case();
      case Sign::kMinimum:
        return source_.Wrong(token.offset, "an integer that takes more than 64 bits");
      default:
        token_ = token;
        return Unexpected("a value");
    }
  }

  // The operand of a prefix, and what is then done.
  absl::Status Then(Binding least, Operation operation, size_t arguments) {
    if (absl::Status status = Operand(least); !status.ok()) return status;
    Compute(operation, arguments);
    return absl::OkStatus();
  }

  // What follows an operand, whose program begins at `start`; `found` where something did.
  absl::Status Infix(Binding least, size_t start, bool& found) {
    switch (token_.sign) {
      case Sign::kOr:
      case Sign::kAnd:
        if (least > (token_.sign == Sign::kOr ? kOrs : kAnds)) return absl::OkStatus();
        found = true;
        return Lazily();
      case Sign::kIs:
      case Sign::kIsNull:
      case Sign::kNotNull:
        if (least > kTests) return absl::OkStatus();
        found = true;
        return Test();
      default:
        for (const Operator& known : kOperators) {
          if (known.sign != token_.sign || least > known.binding) continue;
          found = true;
          return Binary(known, start);
        }
        return absl::OkStatus();
    }
  }

  absl::Status Lazily() {
    const bool is_or = token_.sign == Sign::kOr;
    if (absl::Status status = Advance(); !status.ok()) return status;
    const size_t jump = Emit(is_or ? Operation::kOrElse : Operation::kAndElse, -1);
    if (absl::Status status = Operand(is_or ? kAnds : kNots); !status.ok()) return status;
    Emit(Operation::kAsBoolean, 0);
    LandHere(jump);
    return absl::OkStatus();
  }

  absl::Status Test() {
    bool negated = token_.sign == Sign::kNotNull;
    Value value;
    if (token_.sign == Sign::kIs) {
      if (absl::Status status = Advance(); !status.ok()) return status;
      if (token_.sign == Sign::kNot) {
        negated = true;
        if (absl::Status status = Advance(); !status.ok()) return status;
      }
      value = token_.constant;
      if (token_.sign != Sign::kConstant ||
          (value.type() != Value::Type::kNull && value.type() != Value::Type::kBoolean)) {
        return Unexpected("NULL, TRUE or FALSE");
      }
    }
    PushConstant(value);
    Compute(Operation::kIs, 2);
    if (negated) Compute(Operation::kNot, 1);
    return Advance();
  }

  absl::Status Binary(const Operator& known, size_t start) {
    const Token token = token_;
    const size_t middle = code_.size();
    if (absl::Status status = Advance(); !status.ok()) return status;
    if (absl::Status status = Operand(static_cast<Binding>(known.binding + 1)); !status.ok()) return status;
    if (known.swaps) {
      const auto at = [this](size_t index) { return code_.begin() + static_cast<std::ptrdiff_t>(index); };
      std::rotate(at(start), at(middle), code_.end());
      // What was first now stands on top of what was second.
      ++deepest_;
    }
    Compute(known.operation, 2);
    if (known.binding == kComparisons &&
        std::any_of(std::begin(kOperators), std::end(kOperators), [this](const Operator& next) {
          return next.sign == token_.sign && next.binding == kComparisons;
        })) {
      return source_.Wrong(token_.offset, absl::StrCat("\"", View(token_.text), "\" can't follow \"",
                                                       View(token.text), "\": write parentheses"));
    }
    return absl::OkStatus();
  }

  absl::Status Case() {
    std::vector<size_t> ends;
    const int depth = depth_;
    if (token_.sign != Sign::kWhen) return Unexpected("WHEN");
    while (token_.sign == Sign::kWhen) {
      if (absl::Status status = Advance(); !status.ok()) return status;
      if (absl::Status status = Operand(kLoosest); !status.ok()) return status;
      const size_t next = Emit(Operation::kJumpUnlessTrue, -1);
      if (absl::Status status = Expect(Sign::kThen, "THEN"); !status.ok()) return status;
      if (absl::Status status = Operand(kLoosest); !status.ok()) return status;
      ends.push_back(Emit(Operation::kJump, 0));
      LandHere(next);
      depth_ = depth;
    }
    if (token_.sign == Sign::kElse) {
      if (absl::Status status = Advance(); !status.ok()) return status;
      if (absl::Status status = Operand(kLoosest); !status.ok()) return status;
    } else {
      PushConstant(Value());
    }
    for (const size_t end : ends) LandHere(end);
    return Expect(Sign::kCaseEnd, "WHEN, ELSE or END");
  }

  absl::Status Call() {
    const Token name = token_;
    const auto* function = std::find_if(std::begin(kFunctions), std::end(kFunctions), [&](const Function& f) {
      return absl::EqualsIgnoreCase(View(f.name), View(name.text));
    });
    if (function == std::end(kFunctions)) {
      return source_.Wrong(name.offset, absl::StrCat("there is no function \"", View(name.text), "\""));
    }
    if (absl::Status status = Advance(); !status.ok()) return status;
    if (absl::Status status = Expect(Sign::kOpen, "\"(\""); !status.ok()) return status;
    size_t arguments = 0;
    // As in pgbench, a comma may stand before the first argument.
    bool another = token_.sign != Sign::kClose;
    if (token_.sign == Sign::kComma) {
      if (absl::Status status = Advance(); !status.ok()) return status;
    }
    while (another) {
      if (absl::Status status = Operand(kLoosest); !status.ok()) return status;
      ++arguments;
      another = token_.sign == Sign::kComma;
      if (another) {
        if (absl::Status status = Advance(); !status.ok()) return status;
      }
    }
    if (absl::Status status = Expect(Sign::kClose, "\",\" or \")\""); !status.ok()) return status;
    return Apply(*function, name, arguments);
  }

  absl::Status Apply(const Function& function, const Token& name, size_t arguments) {
    if (arguments < function.least || arguments > function.most) {
      const std::string count = function.least == function.most
                                    ? absl::StrCat(function.least)
                                    : absl::StrCat(function.least, " to ", function.most);
      return source_.Wrong(
          name.offset, absl::StrCat(View(function.name), " takes ", count,
                                    function.most == 1 ? " argument" : " arguments", ", not ", arguments));
    }
    if (function.seeded && arguments < function.most) {
      Emit(Operation::kVariable, 1, 0, names_.Number("default_seed"));
      ++arguments;
    }
    Compute(function.operation, arguments);
    return absl::OkStatus();
  }

  const ScriptSource& source_;
  ExpressionLexer lexer_;
  VariableNames& names_;
  Token token_;
  std::vector<Instruction> code_;
  std::vector<Value> constants_;
  int depth_ = 0;
  int deepest_ = 0;
  int nested_ = 0;
};

}  // namespace

absl::StatusOr<Expression> ParseExpression(const ScriptSource& source, size_t from, size_t to,
                                           VariableNames& names) {
  return Parser(source, from, to, names).Parse();
}

}  // namespace trunkload

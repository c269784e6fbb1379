#include "common/script/expression.h"

#include "common/script/function.h"

namespace trunkload {

absl::StatusOr<Value> Expression::Evaluate(const Evaluation& evaluation) const {
  constexpr size_t kUsualDepth = 32;
  if (depth_ <= kUsualDepth) {
    Value stack[kUsualDepth];
    return Run(evaluation, stack);
  }
  std::vector<Value> stack(depth_);
  return Run(evaluation, stack.data());
}

absl::StatusOr<Value> Expression::Run(const Evaluation& evaluation, Value* stack) const {
  Value* end = stack;
  const size_t size = code_.size();
  for (size_t at = 0; at < size; ++at) {
    const Instruction& instruction = code_[at];
    switch (instruction.operation) {
      case Operation::kConstant:
        *end++ = constants_[instruction.operand];
        break;
      case Operation::kVariable: {
        absl::StatusOr<Value> value = evaluation.variables.Get(instruction.operand);
        if (!value.ok()) return value;
        *end++ = *value;
        break;
      }
      case Operation::kJump:
        at += instruction.operand;
        break;
      case Operation::kJumpUnlessTrue:
        if (!(--end)->IsTrue()) at += instruction.operand;
        break;
      case Operation::kAndElse:
      case Operation::kOrElse: {
        const Value& top = end[-1];
        if (!top.is_null()) {
          absl::StatusOr<bool> truth = AsBoolean(top);
          if (!truth.ok()) return truth.status();
          if (*truth == (instruction.operation == Operation::kAndElse)) {
            --end;
            break;
          }
        }
        at += instruction.operand;
        break;
      }
      case Operation::kAsBoolean:
        if (!end[-1].is_null()) {
          if (absl::StatusOr<bool> truth = AsBoolean(end[-1]); !truth.ok()) return truth.status();
        }
        break;
      default: {
        end -= instruction.arguments;
        absl::StatusOr<Value> result = Apply(instruction.operation, {end, instruction.arguments}, evaluation);
        if (!result.ok()) return result;
        *end++ = *result;
      }
    }
  }
  return *stack;
}

}  // namespace trunkload

#pragma once

#include <span>

#include "absl/status/statusor.h"
#include "common/script/expression.h"

namespace trunkload {

// What an operation that computes makes of its arguments, or what is wrong with them, in pgbench's words.
absl::StatusOr<Value> Apply(Operation operation, std::span<const Value> arguments,
                            const Evaluation& evaluation);

absl::StatusOr<bool> AsBoolean(const Value& value);

}  // namespace trunkload

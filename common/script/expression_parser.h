#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "common/script/expression.h"
#include "common/script/source.h"
#include "common/script/variables.h"

namespace trunkload {

// Parses what stands in the source from `from` to `to`, all of it, as an expression of pgbench's language;
// its variables get their numbers from `names`. INVALID_ARGUMENT, with the place, where it is none.
absl::StatusOr<Expression> ParseExpression(const ScriptSource& source, size_t from, size_t to,
                                           VariableNames& names);

}  // namespace trunkload

#pragma once

#include "absl/status/statusor.h"
#include "common/script/script.h"

namespace trunkload {

// The most variables that one statement may use, each time counted: pgbench's own limit.
inline constexpr size_t kMostVariablesOfAStatement = 255;

// Parses a whole script; its variables get their numbers from `names`. INVALID_ARGUMENT for the first
// mistake: where it is, what is wrong, the line and a caret.
absl::StatusOr<Script> ParseScript(ScriptSource source, VariableNames& names);

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// The scripts of checks, in pgbench's language: see docs/checks.md. Each writes in one transaction, so that
// one that failed has written nothing; only register-write reads after that, in another. Their variables
// begin with kCheckVariable, so that scripts of the plan's keep theirs.

inline constexpr char kCheckVariable[] = "trunkload_";

// Money that each account of the bank begins with.
inline constexpr int64_t kFirstBalance = 1000;

// Empty for a builtin that is none of theirs.
absl::string_view CheckScriptText(v1::Builtin builtin);
// CHECK_UNSPECIFIED for the same.
v1::Check CheckOf(v1::Builtin builtin);
// None for a check that only looks after the load.
std::vector<v1::Builtin> ScriptsOf(v1::Check check);
// The variables that its scripts take from the plan's options.
std::vector<std::pair<std::string, uint64_t>> VariablesOf(v1::Check check, const v1::CheckOptions& options);

}  // namespace trunkload

#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// The builtin scripts that pgbench has, too.
std::string NameOfBuiltin(v1::Builtin builtin);
// What -b list shows.
std::string ListOfBuiltins();
// By its name, or the beginning of it where that is one's only. INVALID_ARGUMENT with a sentence.
absl::StatusOr<v1::Builtin> FindBuiltin(const std::string& name);

}  // namespace trunkload

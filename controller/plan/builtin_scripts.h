#pragma once

#include "absl/strings/string_view.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// Whether it is an insert-…, which agents have in themselves: there is no text of it.
bool IsInsert(v1::Builtin builtin);

// A builtin in pgbench's language: one of a check, or, for the variable scale, what sends what pgbench's
// script of that name sends, with the same draws before it. Empty for an insert-…, and where there is no such
// builtin.
absl::string_view BuiltinText(v1::Builtin builtin);

}  // namespace trunkload

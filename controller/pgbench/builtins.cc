#include "controller/pgbench/builtins.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controller/pgbench/option_value.h"
#include "controller/plan/plan_text.h"

namespace trunkload {
namespace {

// In the order in which they are listed.
constexpr v1::Builtin kBuiltins[] = {v1::BUILTIN_TPCB_LIKE, v1::BUILTIN_SIMPLE_UPDATE,
                                     v1::BUILTIN_SELECT_ONLY};

}  // namespace

std::string NameOfBuiltin(v1::Builtin builtin) {
  return EnumText(*v1::Builtin_descriptor()->FindValueByNumber(builtin));
}

std::string ListOfBuiltins() {
  std::string list = "Available builtin scripts:\n";
  for (const v1::Builtin builtin : kBuiltins) absl::StrAppend(&list, "  ", NameOfBuiltin(builtin), "\n");
  return list;
}

absl::StatusOr<v1::Builtin> FindBuiltin(const std::string& name) {
  std::vector<v1::Builtin> found;
  for (const v1::Builtin builtin : kBuiltins) {
    if (NameOfBuiltin(builtin) == name) return builtin;
    if (absl::StartsWith(NameOfBuiltin(builtin), name)) found.push_back(builtin);
  }
  if (found.size() == 1) return found[0];
  return WrongOption(
      found.empty() ? "no builtin script is called \"" : "more than one builtin script begins with \"", name,
      "\"; -b list shows them");
}

}  // namespace trunkload

#include "controller/report/sqlstate_names.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

constexpr std::pair<absl::string_view, absl::string_view> kNames[] = {
    {"08001", "server not reached"},
    {"08006", "connection broke"},
    {"0A000", "not supported"},
    {"22004", "null not allowed"},
    {"23502", "null not allowed"},
    {"23505", "duplicate key"},
    {"25006", "read-only server"},
    {"28P01", "wrong password"},
    {"3D000", "no such database"},
    {"40001", "serialization"},
    {"40P01", "deadlock"},
    {"42501", "no privilege"},
    {"42703", "no such column"},
    {"42P01", "no such table"},
    {"53100", "disk full"},
    {"53200", "out of memory"},
    {"53300", "too many connections"},
    {"55P03", "lock not available"},
    {"57014", "statement cancelled"},
    {"57P01", "server shutting down"},
    {"57P02", "server crashed"},
    {"57P03", "server starting"},
    {"XX000", "internal error"},
    {"pool_timeout", "no free connection in time"},
    {"unfinished", "still running at the end of the drain"},
};

}  // namespace

std::string SqlstateName(absl::string_view sqlstate) {
  for (const auto& [code, name] : kNames) {
    if (code == sqlstate) return std::string(name);
  }
  return "";
}

std::string ErrorsText(const std::map<std::string, uint64_t>& errors) {
  return absl::StrJoin(errors, ", ", [](std::string* out, const auto& error) {
    const std::string name = SqlstateName(error.first);
    absl::StrAppend(out, CountText(error.second), " x ", error.first,
                    name.empty() ? "" : absl::StrCat(" ", name));
  });
}

}  // namespace trunkload

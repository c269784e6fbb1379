#include "controller/report/objective_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace trunkload {

std::string ObjectiveUnit(const std::string& objective) {
  const size_t comparison = objective.find_first_of("<>");
  if (comparison == objective.npos) return "";
  const size_t number = objective.find_first_of("0123456789", comparison);
  const size_t unit = objective.find_first_not_of("0123456789.", number);
  if (number == objective.npos || unit == objective.npos) return "";
  const std::string written = objective.substr(unit, objective.find(' ', unit) - unit);
  return written.empty() || written[0] == '/' ? written : absl::StrCat(" ", written);
}

std::string ObjectiveValueText(double value, const std::string& objective) {
  return absl::StrFormat("%.4g%s", value, ObjectiveUnit(objective));
}

}  // namespace trunkload

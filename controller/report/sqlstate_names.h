#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace trunkload {

// What the errors that load tests meet most mean, in a few words; empty for the others.
std::string SqlstateName(absl::string_view sqlstate);

// "2 x 40001 serialization failure, 1 x 57014": how many there were of each.
std::string ErrorsText(const std::map<std::string, uint64_t>& errors);

}  // namespace trunkload

#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace trunkload {

// What the errors that load tests meet most mean, in a few words; empty for the others.
std::string SqlstateName(absl::string_view sqlstate);

}  // namespace trunkload

#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace trunkload {

// The token that readers of the pages have to show: the first line of a file. INVALID_ARGUMENT where that
// can't be read, or is too short to be one.
absl::StatusOr<std::string> ReadHttpToken(const std::string& file);

}  // namespace trunkload

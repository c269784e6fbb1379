#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace trunkload {

// Whether WriteOutput to this path should succeed: to be asked before a run, and leaves nothing behind.
// INVALID_ARGUMENT with the reason.
absl::Status CheckOutput(const std::string& path);

// Writes a file so that at every moment the path holds the old text or the new, both in full; "-" is standard
// output.
absl::Status WriteOutput(const std::string& path, absl::string_view text);

}  // namespace trunkload

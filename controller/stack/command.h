#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace trunkload {

// Runs a program to its end and returns what it wrote, to standard output and error. Blocks. As `user` where
// one is named, in /, with an environment that holds no settings of PostgreSQL. UNAVAILABLE with its last
// line where it failed.
absl::StatusOr<std::string> RunCommand(std::vector<std::string> arguments, const std::string& user = "");

}  // namespace trunkload

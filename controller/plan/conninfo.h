#pragma once

#include <string>

#include "absl/status/status.h"

namespace trunkload {

// Whether libpq understands a connection string or URI. The error never shows what may be a password.
absl::Status CheckConninfo(const std::string& conninfo);

// The same without its passwords: as it is where it has none, else written anew as key=value pairs. Empty
// where libpq doesn't understand it.
std::string RedactedConninfo(const std::string& conninfo);

}  // namespace trunkload

#pragma once

#include <string>

#include "absl/status/status.h"

namespace trunkload {

// Asks a controller that serves pages whether it is well. `url` begins with http:// or https://, else it is
// INVALID_ARGUMENT; without a path it is that of HttpServer's. UNAVAILABLE: it is not, or does not answer.
// Nothing is told, and nothing believed but that somebody is there: certificates are not verified. Blocks for
// a few seconds at most.
absl::Status CheckHealth(const std::string& url);

}  // namespace trunkload

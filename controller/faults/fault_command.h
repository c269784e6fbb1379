#pragma once

#include <string>

#include "absl/status/status.h"
#include "controller/cancellation.h"

namespace trunkload {

// Runs a command of the shell, in this process' environment and directory, to its end. Blocks. UNAVAILABLE
// with its last line where it failed; CANCELLED where it still ran at the cancellation: it and what it has
// started were ended then.
absl::Status RunFaultCommand(const std::string& command, const Cancellation& cancellation);

}  // namespace trunkload

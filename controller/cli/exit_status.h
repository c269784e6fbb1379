#pragma once

#include "absl/status/status.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Of the program; the same for every command.
enum ExitStatus : int {
  kExitOk = 0,
  kExitCouldNotRun = 1,
  kExitUsage = 2,  // a plan with mistakes too
  kExitObjectiveMissed = 3,
  kExitNotValid = 4,
  kExitCheckFailed = 5,
  kExitCancelled = 130,
};

// Prints an error as the program's last words, and returns the status to exit with.
ExitStatus ReportError(const absl::Status& status);

ExitStatus ExitStatusOf(const v1::RunResult& result);

}  // namespace trunkload

#pragma once

#include "absl/status/status.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// Whether an assignment is one that a load can follow: what the controller's checks of plans hold anyway, for
// the sake of an agent that is told something else. INVALID_ARGUMENT with what is wrong. `allow_shell`:
// scripts may run commands of the shell on this machine.
absl::Status CheckAssignment(const v1::Assignment& assignment, bool allow_shell);

// The same of one of its phases.
absl::Status CheckPhase(const v1::Phase& phase);

}  // namespace trunkload

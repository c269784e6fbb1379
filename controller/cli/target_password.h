#pragma once

#include <string>

#include "absl/status/status.h"

namespace trunkload {

// Takes the password out of a target, before any plan of it is made use of. Where the agents are `children`
// of this process, it goes into this process's environment, PGPASSWORD, where libpq finds it here and in
// them; elsewhere it is refused: INVALID_ARGUMENT with where to put it, as for a connection string that libpq
// does not understand. To be called before there is any other thread.
absl::Status KeepPasswordHere(std::string& conninfo, bool children);

}  // namespace trunkload

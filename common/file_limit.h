#pragma once

#include <cstdint>

namespace trunkload {

// How many files this process may have open; 0: not known.
uint64_t FileLimit();

// Lets this process open as many files as the machine allows: each connection is one, and the limit that a
// process begins with is often far lower.
void RaiseFileLimit();

}  // namespace trunkload

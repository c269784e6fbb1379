#pragma once

namespace trunkload {

// Lets this process open as many files as the machine allows: each connection is one, and the limit that a
// process begins with is often far lower.
void RaiseFileLimit();

}  // namespace trunkload

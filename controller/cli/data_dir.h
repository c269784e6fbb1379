#pragma once

#include <string>

namespace trunkload {

// Where runs are kept unless told otherwise: $XDG_DATA_HOME/trunkload, or ~/.local/share/trunkload. Empty
// where neither is known.
std::string DefaultDataDir();

}  // namespace trunkload

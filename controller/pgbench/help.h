#pragma once

#include <string>

namespace trunkload {

// Of `trunkload pgbench --help`.
std::string PgbenchHelp();

}  // namespace trunkload

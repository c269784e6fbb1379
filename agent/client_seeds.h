#pragma once

#include <cstdint>
#include <vector>

#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// What the draws of each client begin with, by the client's number in the fleet; empty where nobody runs
// scripts in pgbench's language. As pgbench has them: client n begins with what the plan's seed draws as its
// number n. They don't depend on which agent emulates which client.
std::vector<uint64_t> ClientSeeds(const v1::Assignment& assignment);

}  // namespace trunkload

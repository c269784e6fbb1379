#pragma once

#include <string>

#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// What a fault does, as reports have it: "kill worker 1", "run 'systemctl restart pgbouncer'".
std::string FaultText(const v1::Fault& fault);
// As reports name it: "worker 1"; empty: it is a command.
std::string NodeOfFault(const v1::Fault& fault);

}  // namespace trunkload

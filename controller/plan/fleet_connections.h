#pragma once

#include <cstdint>

#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// Of all application servers together.
inline uint64_t FleetConnections(const v1::Fleet& fleet) {
  if (fleet.has_connections()) return fleet.connections();
  return uint64_t{fleet.application_servers()} * fleet.pool().size();
}

}  // namespace trunkload

#pragma once

#include "controller/report/page.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What the database's nodes did in a phase; nothing where they were not observed.
void AddNodeWork(const v1::Observation& observation, const v1::PhaseResult& phase, Page& page);

// How tables spread over the nodes, what happened to these, and what could not be seen.
void AddObservation(const v1::Observation& observation, Page& page);

}  // namespace trunkload

#pragma once

#include "controller/report/page.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// It did not end in the moment in which it began, as far as people see.
bool Lasted(const v1::FaultResult& fault);
// What was broken on purpose and what that did to the load, a sentence each; nothing where nothing was.
void AddFaults(const v1::RunResult& result, Page& page);

}  // namespace trunkload

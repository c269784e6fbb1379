#pragma once

#include <string>

#include "controller/report/page.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What checks came to: before all else where one has failed.
void AddFailedChecks(const v1::RunResult& result, Page& page);
// Each with its counts and its witnesses; nothing where there are none.
void AddChecks(const v1::RunResult& result, Page& page);
// Both of them, by themselves.
std::string ChecksReport(const v1::RunResult& result, bool color);

}  // namespace trunkload

#pragma once

#include <string>

#include "trunkload/v1/result.pb.h"

namespace trunkload {

// A sweep as a person at a terminal reads it: a line a cell, what each field does, and where throughput
// bends.
std::string SweepText(const v1::SweepResult& sweep, bool color);

// "batch=10, pool.size=4".
std::string SettingsText(const v1::SweepCell& cell);

}  // namespace trunkload

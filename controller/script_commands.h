#pragma once

#include <string>
#include <vector>

#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// What each command of a script in pgbench's language is called in reports: its first line. Empty where the
// script asks for no figures of its commands, or is none of that language.
std::vector<std::string> MeasuredCommands(const v1::Script& script);

}  // namespace trunkload

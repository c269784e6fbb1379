#pragma once

#include <vector>

#include "controller/plan/field_rules.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// What is wrong with a plan's scripts and can't be seen any more once defaults are filled in.
std::vector<PlanMistake> CheckWrittenScripts(const v1::Plan& plan);

// Adds the scripts of those checks of which the plan names none. Before defaults are filled in.
void AddScriptsOfChecks(v1::Plan& plan);

// Fills in what scripts leave out, beyond what the schema's rules do: names, texts of builtins, insert's
// batch. Of a script in pgbench's language, the keys go.
void CompleteScripts(v1::Plan& plan);

// What is wrong with the scripts of a completed plan, and with the plan's variables. A file has been read
// into the text beside it: nothing is read here.
std::vector<PlanMistake> CheckScripts(const v1::Plan& plan);

}  // namespace trunkload

#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// INVALID_ARGUMENT where so many agents can't share the plan's application servers.
absl::Status CheckAgents(const v1::Plan& plan, size_t agents);

// The application servers of a plan, in order of their numbers.
std::vector<v1::ApplicationServer> PlanApplicationServers(const v1::Plan& plan);
// What every agent of a run is told; all but its application servers, and which agent it is.
v1::Assignment PlanCommon(const v1::Plan& plan, const std::string& run_id, size_t agents);

// What each agent of a run is told to do, in the order of `agents` (their names). `plan` must be valid, with
// its defaults filled in. Rates, clients and numbers of transactions add up over the fleet to exactly what
// the plan says. What an application server does follows from the plan and its number alone, not from the
// agent that emulates it. `groups`: of each agent its value of the label that fleet.spread_over names, and
// empty where the plan names none. An error where CheckAgents finds one, or an agent would have nothing to
// emulate.
absl::StatusOr<std::vector<v1::Assignment>> PlanAssignments(const v1::Plan& plan,
                                                            std::span<const std::string> agents,
                                                            const std::string& run_id,
                                                            std::span<const std::string> groups = {});

}  // namespace trunkload

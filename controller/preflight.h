#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What of a run can be known not to work before anything of it is done. Pure. Plans are valid ones.

// Beside connections: the controller's streams, epoll sets and timers, standard streams, files read now and
// then.
constexpr uint64_t kFilesBesideConnections = 64;

// FAILED_PRECONDITION where the fleet's pools are larger than what the server takes. What others have taken
// of that may be free again by then, so that it does not count here.
absl::Status CheckConnectionRoom(const v1::Plan& plan, const v1::ConnectionRoom& room);

// Whether any script prepares statements.
bool UsesPreparedStatements(const v1::Plan& plan);
// That the target keeps none, and what to do: FAILED_PRECONDITION.
absl::Status NoPreparedStatements(const v1::Plan& plan);

// Whether the agents' sessions are to have an isolation level of their own.
bool SetsIsolation(const v1::Plan& plan);
// That the target's sessions can't have one, and what to do: FAILED_PRECONDITION.
absl::Status NoIsolation(const v1::Plan& plan);

// FAILED_PRECONDITION where the agent that said `hello` can't open as many files as it has connections.
absl::Status CheckOpenFiles(const v1::Assignment& assignment, const v1::Hello& hello);

// What may well not work, one sentence each.
std::vector<std::string> PreflightWarnings(const v1::Plan& plan, const v1::ConnectionRoom& room);

}  // namespace trunkload

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controller/cancellation.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What is left of a load when it is over.
struct Aftermath {
  // Two-phase commits of Citus that were not recovered.
  struct Prepared {
    std::string node;  // HOST:PORT
    std::string gid;
    std::string at;  // when it was prepared: UTC, RFC 3339
  };
  std::vector<Prepared> prepared;
  // How many there were at first.
  size_t prepared_at_first = 0;
  // When asked last, all nodes recovered what they could.
  bool recovered = false;
  // Sessions of the load that still run a statement.
  int sessions = 0;
  // Why the database, or a node of it, can't be asked; empty: all can.
  std::string out_of_reach;
  bool citus = false;
};

// Waits until no session of the load runs a statement any more, every node of a Citus cluster answers, and
// its two-phase commits are recovered: itself where the role may do that, else by Citus' own daemon. Until
// then, or the time-out: what is left is said. CANCELLED.
absl::StatusOr<Aftermath> AwaitRest(const v1::Target& target, absl::Duration timeout,
                                    const Cancellation& cancellation);

}  // namespace trunkload

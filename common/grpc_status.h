#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace trunkload {

// The only place where gRPC's status and ours meet. Both have the same codes.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace trunkload

#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tls/transport.h"

namespace trunkload {

// A channel to a controller, for a command line. What is in the TLS folder is read now: INVALID_ARGUMENT or
// FAILED_PRECONDITION where it can't be used. Nothing is dialled yet.
absl::StatusOr<std::shared_ptr<grpc::Channel>> DialController(const std::string& address,
                                                              const Transport& transport);
// A call's status in words for a person. Where nobody answered, dials by itself to find out why: blocks for
// some seconds at most.
absl::Status ExplainCall(const absl::Status& status, const std::string& address, const Transport& transport);

}  // namespace trunkload

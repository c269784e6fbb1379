#pragma once

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"

namespace trunkload {

// To the nanosecond, towards zero.
google::protobuf::Duration ToProto(absl::Duration duration);
absl::Duration FromProto(const google::protobuf::Duration& duration);

}  // namespace trunkload

#pragma once

#include <string>

#include "google/protobuf/message.h"

namespace trunkload {

// A message as JSON that reads like a plan: proto field names in the schema's order, every number a JSON
// number (one that is not finite: null), enums and durations as plans write them. Fields without a value of
// their own are printed with their default, except those whose presence means something: messages, oneofs and
// optional fields.
//
// A plan's JSON is a plan that can be loaded again.
std::string ToJson(const google::protobuf::Message& message);

}  // namespace trunkload

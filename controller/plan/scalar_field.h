#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// One field of a plan, of any message, and how a single value of it is written. A duration is such a value.

const v1::FieldRule& RuleOf(const google::protobuf::FieldDescriptor& field);

bool IsDuration(const google::protobuf::FieldDescriptor& field);
// Repeated, and written as a list. Plans' maps are repeated, too, and hold texts, or lists of them.
bool IsList(const google::protobuf::FieldDescriptor& field);
// A message that is not written as a single value, nor an entry of a map.
bool IsGroup(const google::protobuf::FieldDescriptor& field);

// What may be written for one value of the field, or for the whole of a map, its bounds included: "a whole
// number from 1 to 10000".
std::string ExpectedValue(const google::protobuf::FieldDescriptor& field);

// The names of the fields that may be written, and the field of such a name; null: there is none.
std::vector<std::string> WrittenFields(const google::protobuf::Descriptor& type);
const google::protobuf::FieldDescriptor* FindWrittenField(const google::protobuf::Descriptor& type,
                                                          const std::string& name);

// Reads one value as YAML writes it into a field that is no group; appends where the field is repeated.
// Doesn't look at bounds. The error says only what is wrong and what was expected.
absl::Status SetScalar(google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field,
                       absl::string_view text);

}  // namespace trunkload

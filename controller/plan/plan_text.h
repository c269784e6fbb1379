#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"

namespace trunkload {

// How plans write what YAML has no type for. An error's message says only what is wrong and what would be
// right.

// 250us, 5ms, 1m30s. Not negative.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);
std::string DurationText(absl::Duration duration);

// 2000/s, 120/min, 3600/h, or a bare number for per second. Per second; finite, may be negative.
absl::StatusOr<double> ParseRate(absl::string_view text);

// INSERT_SINGLE of enum Builtin is BUILTIN_INSERT_SINGLE in the schema and insert-single in a plan.
std::string EnumText(const google::protobuf::EnumValueDescriptor& value);
// All that a plan may write, in the schema's order.
std::vector<std::string> EnumTexts(const google::protobuf::EnumDescriptor& type);
// Null where there is none of that name.
const google::protobuf::EnumValueDescriptor* FindEnumValue(const google::protobuf::EnumDescriptor& type,
                                                           absl::string_view text);

// Cut when long, with nothing in it that a terminal would obey; and the same in single quotes.
std::string ShownText(absl::string_view text);
std::string QuotedText(absl::string_view text);

// "; did you mean 'x'?" with the known word that is nearest, or nothing where none is near.
std::string DidYouMean(absl::string_view wrong, const std::vector<std::string>& known);

}  // namespace trunkload

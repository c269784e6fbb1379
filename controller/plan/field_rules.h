#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace trunkload {

// One thing that is wrong with a plan.
struct PlanMistake {
  // As --set names it: phases.1.load.open.rate. Empty for the plan itself.
  std::string field;
  // What is wrong and what was expected.
  std::string what;
  // Where in the field's text that is, as ":2:7" for its line and column.
  std::string within = "";

  // "phases.1.load.open.rate: out of range; ...".
  std::string Sentence() const;
};

std::string FieldPath(absl::string_view parent, absl::string_view name);

// The rules that plan.proto gives its fields, for any message of a plan.

// Gives absent fields their defaults, all the way down. Messages are made where they are absent, except
// optional and required ones and those of a oneof.
void FillDefaults(google::protobuf::Message& message);

// What breaks the rules in a message and all that it holds; `path` leads to it.
void CheckRules(const google::protobuf::Message& message, const std::string& path,
                std::vector<PlanMistake>& mistakes);

// Takes the passwords out of every field that may hold one.
void Redact(google::protobuf::Message& message);

}  // namespace trunkload

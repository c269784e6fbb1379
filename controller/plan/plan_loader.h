#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// What the command line changes in a plan.
struct PlanOverrides {
  // KEY=VALUE each, in order; see plan_override.h.
  std::vector<std::string> set;
  // A connection string or URI in place of the target's conninfo and service; goes after `set`.
  std::optional<std::string> target = std::nullopt;
};

// The plan in a YAML file, with defaults filled in, checked and ready to be run. INVALID_ARGUMENT with one
// sentence a line, each with its place: "plan.yaml:3:9: fleet.pool.size: not a whole number; expected ...".
// Passwords are in the plan as they were written (see Redacted), and in no message. Files of scripts are
// looked up from the plan's folder and read into their scripts' text; one that has a text already only says
// where that came from.
absl::StatusOr<v1::Plan> LoadPlan(const std::string& file, const PlanOverrides& overrides = {});

// Reads a script's file, looked up from the folder, into its text. INVALID_ARGUMENT where it is no regular
// file, empty or too large; the message names it.
absl::Status ReadScript(const std::filesystem::path& folder, v1::Script& script);

// As LoadPlan, from the plan file's text; `file` is its name in messages. Reads no files: a script of one
// needs its text beside it.
absl::StatusOr<v1::Plan> ParsePlan(absl::string_view yaml, const std::string& file,
                                   const PlanOverrides& overrides = {});

}  // namespace trunkload

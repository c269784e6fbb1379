#pragma once

#include <yaml-cpp/yaml.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace trunkload {

// More than any plan needs.
constexpr int kMostYamlValues = 100'000;

// What YAML was read from, for messages.
struct YamlSource {
  // A file's name, to which line and column (in bytes) are added; or, without lines, all that is to be said.
  std::string name;
  bool has_lines = true;

  std::string PlaceOf(const YAML::Mark& mark) const;
};

// The only document in `text`; Null where it is empty. INVALID_ARGUMENT, with the place, for what is not
// UTF-8, holds control characters, more than one document or too many values, or is not YAML.
absl::StatusOr<YAML::Node> ParseYaml(absl::string_view text, const YamlSource& source);

}  // namespace trunkload

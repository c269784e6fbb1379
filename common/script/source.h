#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace trunkload {

// The text of a script, and what it is called in messages. Thread-safe once made.
class ScriptSource {
 public:
  // `name`: a file's, or where the text stands in a plan.
  ScriptSource(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {}

  const std::string& name() const { return name_; }
  std::string_view text() const { return text_; }

  // "name:line:column", both from 1, the column in bytes.
  std::string PlaceOf(size_t offset) const;
  // INVALID_ARGUMENT: the place, what is wrong, and below it the line with a caret under the place.
  absl::Status Wrong(size_t offset, std::string_view what) const;

 private:
  size_t LineStart(size_t offset) const;

  std::string name_;
  std::string text_;
};

}  // namespace trunkload

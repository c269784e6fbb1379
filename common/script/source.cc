#include "common/script/source.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

// More of a line is no help.
constexpr size_t kMostShown = 160;

}  // namespace

size_t ScriptSource::LineStart(size_t offset) const {
  if (offset == 0) return 0;
  const size_t newline = text_.rfind('\n', offset - 1);
  return newline == std::string::npos ? 0 : newline + 1;
}

std::string ScriptSource::PlaceOf(size_t offset) const {
  const size_t start = LineStart(offset);
  const auto lines = std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(start), '\n');
  return absl::StrCat(name_, ":", lines + 1, ":", offset - start + 1);
}

absl::Status ScriptSource::Wrong(size_t offset, std::string_view what) const {
  offset = std::min(offset, text_.size());
  const size_t start = LineStart(offset);
  std::string line = text_.substr(start, text_.find('\n', start) - start);
  while (!line.empty() && line.back() == '\r') line.pop_back();
  std::string message = absl::StrCat(PlaceOf(offset), ": ", absl::string_view(what.data(), what.size()));
  // What stands before the caret, a tab for a tab, so that the caret is where it belongs on any terminal.
  std::string indent = line.substr(0, offset - start);
  if (indent.size() > kMostShown) return absl::InvalidArgumentError(message);
  for (char& c : indent) {
    if (c != '\t') c = ' ';
  }
  absl::StrAppend(&message, "\n", line.substr(0, kMostShown + 40), "\n", indent, "^");
  return absl::InvalidArgumentError(message);
}

}  // namespace trunkload

#include "controller/report/page.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace trunkload {

std::string Page::Painted(Paint paint, const std::string& text) const {
  if (!color_ || paint == Paint::kNone) return text;
  const char* code = paint == Paint::kGood ? "1;32" : paint == Paint::kBad ? "1;31" : "1";
  return absl::StrCat("\033[", code, "m", text, "\033[0m");
}

void Page::Line(const std::string& text, Paint paint) {
  absl::StrAppend(&text_, Painted(paint, text), "\n");
}

void Page::Folded(const std::string& text, const std::string& indent) {
  std::string line;
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    if (!line.empty() && line.size() + 1 + word.size() > kColumns) Line(std::exchange(line, indent + "  "));
    if (line.empty()) line = indent;
    absl::StrAppend(&line, line.find_first_not_of(' ') == line.npos ? "" : " ", word);
  }
  Line(line);
}

void Page::Row(const std::string& label, const std::vector<std::string>& cells, Paint paint) {
  std::string row = absl::StrFormat("  %-*s", kLabelWidth, label);
  for (const std::string& cell : cells) absl::StrAppendFormat(&row, "%*s", kCellWidth, cell);
  Line(row, paint);
}

}  // namespace trunkload

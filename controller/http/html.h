#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace trunkload {

// HTML, into which texts come by Text() and Cell() only, and are escaped there. Not thread-safe.
class Html {
 public:
  // A whole page. `reload_s`: the browser asks for it again after so many seconds; 0: never.
  static std::string Page(absl::string_view title, int reload_s, const Html& body);

  // Markup of this program's own, as it is.
  Html& Raw(absl::string_view markup);
  Html& Text(absl::string_view text);
  // <tag class="...">text</tag>; without class where that is empty.
  Html& Element(absl::string_view tag, absl::string_view css_class, absl::string_view text);
  Html& Link(absl::string_view path, absl::string_view text);

  // A table in a box that can be scrolled sideways. Columns whose head begins with '>' hold numbers.
  void BeginTable(const std::vector<std::string>& heads);
  void BeginRow(absl::string_view css_class = "");
  void Cell(absl::string_view text);
  // One with markup of this program's own.
  void RawCell(const Html& content);
  void EndTable();

  const std::string& text() const { return text_; }

 private:
  void OpenCell();

  std::string text_;
  std::vector<bool> numbers_;
  size_t column_ = 0;
  bool row_open_ = false;
};

std::string EscapedHtml(absl::string_view text);
// 2026-01-02 03:04:05 UTC, of a time as RFC 3339 has it in UTC.
std::string UtcText(const std::string& time);

}  // namespace trunkload

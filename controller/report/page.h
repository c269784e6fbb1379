#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trunkload {

enum class Paint { kNone, kGood, kBad, kHeading };

// A report for a terminal, line by line. Not thread-safe.
class Page {
 public:
  static constexpr size_t kColumns = 100;
  static constexpr int kLabelWidth = 18;
  static constexpr int kCellWidth = 10;

  explicit Page(bool color) : color_(color) {}

  // As it is where the page has no colors.
  std::string Painted(Paint paint, const std::string& text) const;
  void Line(const std::string& text = "", Paint paint = Paint::kNone);
  // Folded between words; further lines are indented.
  void Folded(const std::string& text, const std::string& indent);
  // Of a table.
  void Row(const std::string& label, const std::vector<std::string>& cells, Paint paint = Paint::kNone);
  std::string Take() { return std::move(text_); }

 private:
  const bool color_;
  std::string text_;
};

}  // namespace trunkload

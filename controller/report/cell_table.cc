#include "controller/report/cell_table.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace trunkload {
namespace {

constexpr size_t kWidestSetting = 24;
constexpr size_t kBetween = 2;

// The last part of a field's name, where no other field of the sweep ends in the same.
std::map<std::string, std::string> ShortNames(const v1::Plan& plan) {
  const auto last = [](const std::string& name) { return name.substr(name.rfind('.') + 1); };
  std::map<std::string, int> uses;
  for (const auto& [name, values] : plan.sweep()) ++uses[last(name)];
  std::map<std::string, std::string> names;
  for (const auto& [name, values] : plan.sweep()) names[name] = uses[last(name)] == 1 ? last(name) : name;
  return names;
}

}  // namespace

CellTable::CellTable(const v1::SweepResult& sweep, std::vector<std::string> heads)
    : heads_(std::move(heads)), short_names_(ShortNames(sweep.plan())) {
  for (const auto& [name, short_name] : short_names_) {
    size_t& width = widths_[name] = short_name.size();
    for (const std::string& value : sweep.plan().sweep().at(name).values())
      width = std::max(width, value.size());
    width = std::min(width, kWidestSetting);
  }
}

void CellTable::Add(const v1::SweepCell& cell, std::vector<std::string> figures, std::string rest,
                    Paint paint) {
  lines_.push_back(
      {{cell.settings().begin(), cell.settings().end()}, std::move(figures), std::move(rest), paint});
}

CellTable::Layout CellTable::MakeLayout() const {
  Layout layout{std::vector<size_t>(heads_.size()), 0, kBetween};
  for (const Line& line : lines_) {
    for (size_t i = 0; i < line.figures.size(); ++i) {
      if (line.figures[i].empty() || line.figures[i] == kNothing) continue;
      layout.widths[i] = std::max({layout.widths[i], heads_[i].size(), line.figures[i].size()});
    }
  }
  while (WidthOf(layout) > Page::kColumns && layout.above + 1 < widths_.size()) ++layout.above;
  if (WidthOf(layout) > Page::kColumns) layout.between = 1;
  return layout;
}

size_t CellTable::WidthOf(const Layout& layout) const {
  size_t rest = 0;
  for (const Line& line : lines_) {
    if (!line.rest.empty() && !line.figures.empty()) rest = std::max(rest, kBetween + line.rest.size());
  }
  return TextOf({{}, std::vector<std::string>(heads_.size()), "", Paint::kNone}, layout).size() + rest;
}

std::string CellTable::TextOf(const Line& line, const Layout& layout) const {
  // Lines below others are indented.
  std::string text(layout.above > 0 ? kBetween + 1 : 1, ' ');
  for (auto setting = std::next(widths_.begin(), static_cast<std::ptrdiff_t>(layout.above));
       setting != widths_.end(); ++setting) {
    const auto& [name, width] = *setting;
    const auto found = line.settings.find(name);
    absl::StrAppendFormat(&text, " %-*s", static_cast<int>(width),
                          found == line.settings.end() ? "" : found->second.substr(0, width));
  }
  for (size_t i = 0; i < line.figures.size(); ++i) {
    if (layout.widths[i] == 0) continue;
    absl::StrAppendFormat(&text, "%*s", static_cast<int>(layout.between + layout.widths[i]), line.figures[i]);
  }
  return line.rest.empty() ? text : absl::StrCat(text, "  ", line.rest);
}

void CellTable::AddTo(Page& page) const {
  const Layout layout = MakeLayout();
  page.Line(TextOf({short_names_, heads_, "", Paint::kNone}, layout), Paint::kHeading);
  std::map<std::string, std::string> before;
  for (const Line& line : lines_) {
    std::map<std::string, std::string> shared = line.settings;
    const size_t above = std::min(layout.above, shared.size());
    shared.erase(std::next(shared.begin(), static_cast<std::ptrdiff_t>(above)), shared.end());
    if (shared != before) page.Line(absl::StrCat("  ", SettingsText(shared)));
    before = std::move(shared);
    page.Line(TextOf(line, layout), line.paint);
  }
}

std::string SettingsText(const std::map<std::string, std::string>& settings) {
  return absl::StrJoin(settings, ", ", absl::PairFormatter("="));
}

}  // namespace trunkload

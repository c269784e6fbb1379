#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "controller/report/page.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// A line for each of some cells of a sweep, with its settings and figures. A column in which all cells have
// kNothing or "" is left out. Where lines would be wider than the page, the settings that change slowest
// stand in lines of their own, above those that share them. Not thread-safe.
class CellTable {
 public:
  static constexpr char kNothing[] = "-";

  CellTable(const v1::SweepResult& sweep, std::vector<std::string> heads);

  // `figures`: as many as heads, or none. `rest`: follows at the end of the line.
  void Add(const v1::SweepCell& cell, std::vector<std::string> figures, std::string rest = "",
           Paint paint = Paint::kNone);
  void AddTo(Page& page) const;

 private:
  struct Line {
    std::map<std::string, std::string> settings;
    std::vector<std::string> figures;
    std::string rest;
    Paint paint;
  };

  struct Layout {
    // Of figures; 0: left out.
    std::vector<size_t> widths;
    // How many settings, of the first ones, stand above lines.
    size_t above = 0;
    // Spaces before each figure.
    size_t between = 0;
  };

  Layout MakeLayout() const;
  size_t WidthOf(const Layout& layout) const;
  std::string TextOf(const Line& line, const Layout& layout) const;

  const std::vector<std::string> heads_;
  // By the names in the sweep.
  std::map<std::string, std::string> short_names_;
  std::map<std::string, size_t> widths_;
  std::vector<Line> lines_;
};

// "batch=10, pool.size=4".
std::string SettingsText(const std::map<std::string, std::string>& settings);

}  // namespace trunkload

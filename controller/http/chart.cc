#include "controller/http/chart.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/http/html.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

constexpr double kWidth = 960;
constexpr double kLeft = 70;
constexpr double kRight = 8;
constexpr double kPanel = 130;
constexpr double kTop = 26;
constexpr double kBetween = 34;
constexpr double kBottom = 24;
constexpr size_t kMostPoints = 600;
constexpr int kLines = 3;
// Phases that are narrower go without their name.
constexpr double kNarrowest = 60;

struct Point {
  double second = 0;  // of the whole run
  double rate = 0;
  double p99_us = 0;
};

struct Edge {
  std::string phase;
  double second = 0;
  size_t point = 0;  // its first
};

struct Data {
  std::vector<Point> points;
  std::vector<Edge> edges;
  double seconds = 0;
};

// Not of the drain, nor cut off by the end of the phase: that would look like a dip.
bool IsWhole(const v1::SeriesPoint& point, const v1::PhaseResult& phase) {
  constexpr double kTolerance = 0.05;
  const double seconds = phase.offered_per_s() > 0
                             ? static_cast<double>(phase.offered()) / phase.offered_per_s()
                             : phase.duration_s();
  return point.second() == 0 || point.second() + 1 <= seconds + kTolerance;
}

Data Collect(const v1::RunResult& result) {
  Data data;
  for (const v1::PhaseResult& phase : result.phases()) {
    if (phase.series().empty()) continue;
    data.edges.push_back({phase.name(), data.seconds, data.points.size()});
    for (const v1::SeriesPoint& point : phase.series()) {
      if (!IsWhole(point, phase)) continue;
      data.points.push_back({data.seconds + point.second(), static_cast<double>(point.transactions()),
                             point.response_p99_us()});
    }
    if (data.points.size() == data.edges.back().point) {
      data.edges.pop_back();
    } else {
      data.seconds = data.points.back().second + 1;
    }
  }
  return data;
}

// The points of each phase, so that there are no more than kMostPoints of all of them, or one of each.
std::vector<std::vector<Point>> Thinned(const Data& data) {
  const size_t together = (data.points.size() + kMostPoints - 1) / kMostPoints;
  std::vector<std::vector<Point>> thinned;
  for (size_t i = 0; i < data.edges.size(); ++i) {
    std::vector<Point>& points = thinned.emplace_back();
    const size_t end = i + 1 < data.edges.size() ? data.edges[i + 1].point : data.points.size();
    for (size_t from = data.edges[i].point; from < end; from += together) {
      const size_t to = std::min(end, from + together);
      Point sum{.second = data.points[from].second};
      for (size_t at = from; at < to; ++at) {
        sum.rate += data.points[at].rate;
        sum.p99_us = std::max(sum.p99_us, data.points[at].p99_us);
      }
      sum.rate /= static_cast<double>(to - from);
      points.push_back(sum);
    }
  }
  return thinned;
}

// 1, 2 or 5 times a power of ten, so that kLines of them reach the highest value.
double StepOf(double highest) {
  const double least = std::max(highest, 1e-9) / kLines;
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least) return factor * power;
  }
  return 10 * power;
}

struct Panel {
  double top;
  const char* css_class;
  std::string name;
  std::function<double(const Point&)> value;
  std::function<std::string(double)> text;
};

class Drawing {
 public:
  explicit Drawing(const Data& data) : data_(data), phases_(Thinned(data)) {}

  double X(double second) const {
    return kLeft + (kWidth - kLeft - kRight) * second / std::max(data_.seconds - 1, 1.0);
  }

  void Draw(const Panel& panel) {
    double highest = 0;
    for (const std::vector<Point>& points : phases_) {
      for (const Point& point : points) highest = std::max(highest, panel.value(point));
    }
    const double step = StepOf(highest);
    const double bottom = panel.top + kPanel;
    const auto y = [&](double value) { return bottom - kPanel * value / (step * kLines); };
    for (int line = 0; line <= kLines; ++line) {
      absl::StrAppendFormat(&svg_, "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                            kLeft, kWidth - kRight, y(step * line), y(step * line));
      absl::StrAppendFormat(&svg_, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", kLeft - 8,
                            y(step * line) + 4, line == 0 ? "0" : EscapedHtml(panel.text(step * line)));
    }
    absl::StrAppendFormat(&svg_, "<text class=\"%s-name\" x=\"%.0f\" y=\"%.0f\">%s</text>\n", panel.css_class,
                          kLeft, panel.top - 8, EscapedHtml(panel.name));
    for (const std::vector<Point>& points : phases_) {
      absl::StrAppendFormat(&svg_, "<polyline class=\"%s\" points=\"", panel.css_class);
      for (const Point& point : points)
        absl::StrAppendFormat(&svg_, "%.1f,%.1f ", X(point.second), y(panel.value(point)));
      svg_ += "\"/>\n";
    }
  }

  void Band(double from, double to, double top, double bottom) {
    absl::StrAppendFormat(&svg_,
                          "<rect class=\"fault\" x=\"%.1f\" width=\"%.1f\" y=\"%.0f\" height=\"%.0f\"/>\n",
                          X(from), std::max(X(to) - X(from), 2.0), top, bottom - top);
  }

  void Edges(double top, double bottom) {
    for (size_t i = 0; i < data_.edges.size(); ++i) {
      const Edge& edge = data_.edges[i];
      const double next = i + 1 < data_.edges.size() ? data_.edges[i + 1].second : data_.seconds;
      if (i > 0) {
        absl::StrAppendFormat(&svg_,
                              "<line class=\"edge\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\"/>\n",
                              X(edge.second), X(edge.second), top, bottom);
      }
      if (data_.edges.size() < 2 || X(next) - X(edge.second) < kNarrowest) continue;
      const size_t most = static_cast<size_t>((X(next) - X(edge.second)) / 7.5);
      absl::StrAppendFormat(&svg_, "<text x=\"%.1f\" y=\"%.0f\">%s</text>\n", X(edge.second) + 4, bottom + 18,
                            EscapedHtml(edge.phase.substr(0, most)));
    }
  }

  void Text(double x, double y, absl::string_view anchor, const std::string& text) {
    absl::StrAppendFormat(&svg_, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor,
                          EscapedHtml(text));
  }

  std::string Take(double height) {
    return absl::StrFormat(
        "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"Throughput and p99 over "
        "time\">\n%s</svg>\n",
        kWidth, height, svg_);
  }

 private:
  const Data& data_;
  const std::vector<std::vector<Point>> phases_;
  std::string svg_;
};

}  // namespace

std::string ThroughputChart(const v1::RunResult& result) {
  const Data data = Collect(result);
  if (data.points.size() < 2) return "";
  Drawing drawing(data);
  const double second_top = kTop + kPanel + kBetween;
  const double bottom = second_top + kPanel;
  for (const v1::FaultResult& fault : result.faults()) {
    for (const Edge& edge : data.edges) {
      if (edge.phase != fault.phase()) continue;
      const double ended = fault.has_ended_s() ? fault.ended_s() : fault.began_s();
      drawing.Band(std::clamp(edge.second + fault.began_s(), 0.0, data.seconds - 1),
                   std::clamp(edge.second + ended, 0.0, data.seconds - 1), kTop, bottom);
    }
  }
  drawing.Edges(kTop, bottom);
  drawing.Draw({kTop, "rate", "transactions/s", [](const Point& point) { return point.rate; }, RateText});
  drawing.Draw({second_top, "p99", "response time, p99", [](const Point& point) { return point.p99_us; },
                LatencyText});
  drawing.Text(kWidth - kRight, kTop - 8, "end", absl::StrFormat("%.0f s", data.seconds));
  return drawing.Take(bottom + kBottom);
}

}  // namespace trunkload

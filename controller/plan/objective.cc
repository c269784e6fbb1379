#include "controller/plan/objective.h"

#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "controller/plan/plan_text.h"

namespace trunkload {
namespace {

template <size_t n>
std::vector<std::string> NamesOf(const std::pair<absl::string_view, double> (&table)[n]) {
  std::vector<std::string> names;
  for (const auto& [name, value] : table) names.emplace_back(name);
  return names;
}

constexpr std::pair<absl::string_view, double> kDurationUnits[] = {{"ns", 1},  {"us", 1e3}, {"ms", 1e6},
                                                                   {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
constexpr std::pair<absl::string_view, double> kShareUnits[] = {{"%", 0.01}};
constexpr std::pair<absl::string_view, double> kRateUnits[] = {
    {"/s", 1}, {"/min", 1.0 / 60}, {"/h", 1.0 / 3600}};

bool IsWordLetter(char c) {
  return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
}

}  // namespace

// Reads one objective from left to right; each step fails at the character where it stands.
class Objective::Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) { objective_.text_ = std::string(text); }

  absl::StatusOr<Objective> Parse() {
    for (const auto step : {&Parser::Measure, &Parser::Operator, &Parser::Limit, &Parser::Phase}) {
      if (absl::Status status = (this->*step)(); !status.ok()) return status;
    }
    return std::move(objective_);
  }

 private:
  absl::Status Measure() {
    const std::vector<std::string> known = {"p99", "mean", "max", "error_rate", "throughput", "rows"};
    const absl::string_view word = Word();
    if (word == "error_rate") {
      objective_.metric_ = Metric::kErrorRate;
    } else if (word == "throughput") {
      objective_.metric_ = Metric::kThroughput;
    } else if (word == "rows") {
      objective_.metric_ = Metric::kRows;
    } else if (word == "mean") {
      objective_.statistic_ = Statistic::kMean;
      return Latency();
    } else if (word == "max") {
      objective_.statistic_ = Statistic::kMax;
      return Latency();
    } else if (word.size() > 1 && word[0] == 'p' && (absl::ascii_isdigit(word[1]) || word[1] == '.')) {
      double& percent = objective_.percent_;
      if (!absl::SimpleAtod(word.substr(1), &percent) || !(percent >= 0 && percent <= 100)) {
        return Wrong("a percentile is p0 to p100, such as p99 or p99.9");
      }
      return Latency();
    } else {
      return Wrong(absl::StrCat("expected p99(...), mean(...), max(...), error_rate, throughput or rows",
                                DidYouMean(word, known)));
    }
    return absl::OkStatus();
  }

  absl::Status Latency() {
    constexpr std::pair<absl::string_view, Metric> kMetrics[] = {{"response", Metric::kResponse},
                                                                 {"service", Metric::kService},
                                                                 {"pool_wait", Metric::kPoolWait},
                                                                 {"send_lag", Metric::kSendLag},
                                                                 {"failed", Metric::kFailed}};
    if (!Consume("(")) return Wrong("expected '(' and a metric, such as (response)");
    const absl::string_view word = Word();
    std::vector<std::string> known;
    for (const auto& [name, metric] : kMetrics) {
      known.emplace_back(name);
      if (name == word) {
        objective_.metric_ = metric;
        return Consume(")") ? absl::OkStatus() : Wrong(absl::StrCat("expected ')' after ", name));
      }
    }
    return Wrong(absl::StrCat("expected one of ", absl::StrJoin(known, ", "), DidYouMean(word, known)));
  }

  absl::Status Operator() {
    // The longer ones first.
    if (Consume("<=")) {
      objective_.comparison_ = Comparison::kAtMost;
    } else if (Consume(">=")) {
      objective_.comparison_ = Comparison::kAtLeast;
    } else if (Consume("<")) {
      objective_.comparison_ = Comparison::kBelow;
    } else if (Consume(">")) {
      objective_.comparison_ = Comparison::kAbove;
    } else {
      SkipSpace();
      return Wrong("expected <, <=, > or >=");
    }
    return absl::OkStatus();
  }

  absl::Status Limit() {
    if (objective_.OnLatency()) return NumberWithUnit(kDurationUnits, "a duration such as 50ms");
    if (objective_.metric_ == Metric::kErrorRate)
      return NumberWithUnit(kShareUnits, "a percentage such as 0.1%");
    return NumberWithUnit(kRateUnits, "a rate such as 1000/s");
  }

  template <size_t n>
  absl::Status NumberWithUnit(const std::pair<absl::string_view, double> (&units)[n],
                              absl::string_view expected) {
    SkipSpace();
    wrong_at_ = at_;
    size_t end = at_;
    while (end < text_.size() && (absl::ascii_isdigit(text_[end]) || text_[end] == '.')) ++end;
    if (!absl::SimpleAtod(text_.substr(at_, end - at_), &objective_.limit_) ||
        !std::isfinite(objective_.limit_)) {
      return Wrong(absl::StrCat("expected ", expected));
    }
    at_ = end;
    wrong_at_ = at_;
    while (end < text_.size() && !absl::ascii_isspace(text_[end])) ++end;
    const absl::string_view written = text_.substr(at_, end - at_);
    for (const auto& [name, value] : units) {
      if (name != written) continue;
      at_ = end;
      objective_.unit_ = value;
      return absl::OkStatus();
    }
    return Wrong(
        absl::StrCat("expected ", expected, ", with one of the units ", absl::StrJoin(NamesOf(units), ", ")));
  }

  absl::Status Phase() {
    SkipSpace();
    if (at_ == text_.size()) return absl::OkStatus();
    if (Word() != "in") return Wrong("expected the end, or 'in' and the name of a phase");
    objective_.phase_ = std::string(Word());
    if (objective_.phase_.empty()) return Wrong("expected the name of a phase");
    SkipSpace();
    wrong_at_ = at_;
    return at_ == text_.size() ? absl::OkStatus() : Wrong("expected the end after the phase");
  }

  void SkipSpace() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
    wrong_at_ = at_;
  }

  bool Consume(absl::string_view sign) {
    SkipSpace();
    if (!absl::StartsWith(text_.substr(at_), sign)) return false;
    at_ += sign.size();
    return true;
  }

  // Empty where there is none.
  absl::string_view Word() {
    SkipSpace();
    const size_t start = at_;
    while (at_ < text_.size() && IsWordLetter(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }

  absl::Status Wrong(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("at character ", wrong_at_ + 1, ": ", what));
  }

  absl::string_view text_;
  size_t at_ = 0;
  // Where the word or sign that was read last begins.
  size_t wrong_at_ = 0;
  Objective objective_;
};

absl::StatusOr<Objective> Objective::Parse(absl::string_view text) {
  return Parser(text).Parse();
}

v1::ObjectiveResult Objective::Evaluate(const std::vector<PhaseMeasure>& recorded_phases) const {
  v1::ObjectiveResult result;
  result.set_text(text_);
  const bool higher_is_worse = comparison_ == Comparison::kBelow || comparison_ == Comparison::kAtMost;
  bool judged = false;
  bool met = true;
  for (const PhaseMeasure& measure : recorded_phases) {
    if (!phase_.empty() && measure.name != phase_) continue;
    if (OnLatency() && HistogramOf(measure).count() == 0) {
      // Nothing succeeded, so nothing was fast; but where nothing failed, no failure was slow.
      if (metric_ != Metric::kFailed) {
        result.set_met(false);
        result.set_value(0);
        result.set_phase(measure.name);
        return result;
      }
      judged = true;
      continue;
    }
    const double value = ValueIn(measure);
    met = met && Met(value);
    judged = true;
    if (result.phase().empty() || (higher_is_worse ? value > result.value() : value < result.value())) {
      result.set_value(value);
      result.set_phase(measure.name);
    }
  }
  result.set_met(judged && met);
  return result;
}

const Histogram& Objective::HistogramOf(const PhaseMeasure& measure) const {
  switch (metric_) {
    case Metric::kService:
      return measure.service;
    case Metric::kPoolWait:
      return measure.pool_wait;
    case Metric::kSendLag:
      return measure.send_lag;
    case Metric::kFailed:
      return measure.failed;
    default:
      return measure.response;
  }
}

double Objective::ValueIn(const PhaseMeasure& measure) const {
  switch (metric_) {
    case Metric::kErrorRate:
      return measure.error_rate / unit_;
    case Metric::kThroughput:
      return measure.throughput_per_s / unit_;
    case Metric::kRows:
      return measure.rows_per_s / unit_;
    default:
      break;
  }
  const Histogram& histogram = HistogramOf(measure);
  switch (statistic_) {
    case Statistic::kMean:
      return histogram.mean_ns() / unit_;
    case Statistic::kMax:
      return static_cast<double>(histogram.max_ns()) / unit_;
    default:
      return static_cast<double>(histogram.PercentileNanos(percent_)) / unit_;
  }
}

bool Objective::Met(double value) const {
  switch (comparison_) {
    case Comparison::kBelow:
      return value < limit_;
    case Comparison::kAtMost:
      return value <= limit_;
    case Comparison::kAbove:
      return value > limit_;
    default:
      return value >= limit_;
  }
}

}  // namespace trunkload

#include "controller/sweep/scalability.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "common/random.h"

namespace trunkload {
namespace {

constexpr int kFits = 1000;
// With as many as the law has parameters, any points fit.
constexpr size_t kLoads = 4;
constexpr size_t kPointsForIntervals = 5;
constexpr double kTail = 0.025;

struct Law {
  double lambda = 0;
  double sigma = 0;
  double kappa = 0;

  double At(double n) const { return lambda * n / (1 + sigma * (n - 1) + kappa * n * (n - 1)); }
  // Where throughput is highest; infinite: it never falls.
  double Peak() const { return kappa > 0 ? std::sqrt(std::max(0.0, 1 - sigma) / kappa) : INFINITY; }
};

// What sigma may be: its bounds, or anything between them.
enum class Sigma { kNone, kFree, kAll };

// N / X is linear in 1, N - 1 and N (N - 1), or in N and N (N - 1) where all is serial: least squares of
// (N / X) × X / N - 1, the relative residual, over the terms that are used; none where they can't be told
// apart, or the law would be out of its bounds.
std::optional<Law> Solve(const std::vector<ScalePoint>& points, Sigma sigma, bool kappa) {
  const std::array<bool, 3> used = {true, sigma == Sigma::kFree, kappa};
  std::array<std::array<double, 4>, 3> m{};
  for (const ScalePoint& point : points) {
    const double n = point.load;
    const double weight = point.throughput / n;
    const std::array<double, 3> terms = {sigma == Sigma::kAll ? weight * n : weight, weight * (n - 1),
                                         weight * n * (n - 1)};
    for (size_t i = 0; i < 3; ++i) {
      for (size_t j = 0; j < 3; ++j) m[i][j] += terms[i] * terms[j];
      m[i][3] += terms[i];
    }
  }
  for (size_t i = 0; i < 3; ++i) {
    if (used[i]) continue;
    for (size_t j = 0; j < 3; ++j) m[i][j] = m[j][i] = 0;
    m[i][i] = 1;
    m[i][3] = 0;
  }
  for (size_t i = 0; i < 3; ++i) {
    size_t pivot = i;
    for (size_t row = i + 1; row < 3; ++row) {
      if (std::abs(m[row][i]) > std::abs(m[pivot][i])) pivot = row;
    }
    if (std::abs(m[pivot][i]) < 1e-300) return std::nullopt;
    std::swap(m[i], m[pivot]);
    for (size_t row = 0; row < 3; ++row) {
      if (row == i) continue;
      const double factor = m[row][i] / m[i][i];
      for (size_t column = i; column < 4; ++column) m[row][column] -= factor * m[i][column];
    }
  }
  const double a = m[0][3] / m[0][0];
  const double b = m[1][3] / m[1][1];
  const double c = m[2][3] / m[2][2];
  if (!(a > 0) || b < 0 || b > a || c < 0) return std::nullopt;
  return Law{1 / a, sigma == Sigma::kAll ? 1 : b / a, c / a};
}

double Misfit(const Law& law, const std::vector<ScalePoint>& points) {
  double sum = 0;
  for (const ScalePoint& point : points) {
    const double residual = point.throughput / law.At(point.load) - 1;
    sum += residual * residual;
  }
  return sum;
}

std::optional<Law> Fit(const std::vector<ScalePoint>& points) {
  std::optional<Law> best;
  for (const Sigma sigma : {Sigma::kFree, Sigma::kNone, Sigma::kAll}) {
    for (const bool kappa : {true, false}) {
      const std::optional<Law> law = Solve(points, sigma, kappa);
      if (law && (!best || Misfit(*law, points) < Misfit(*best, points))) best = law;
    }
  }
  return best;
}

template <typename Get>
v1::Bounds BoundsOf(const std::vector<Law>& laws, const Get& get) {
  std::vector<double> values;
  for (const Law& law : laws) values.push_back(get(law));
  std::sort(values.begin(), values.end());
  v1::Bounds bounds;
  const auto last = static_cast<double>(values.size() - 1);
  bounds.set_low(values[static_cast<size_t>(kTail * last)]);
  bounds.set_high(values[static_cast<size_t>(std::ceil((1 - kTail) * last))]);
  return bounds;
}

}  // namespace

std::optional<v1::ScalabilityFit> FitScalability(const std::vector<ScalePoint>& points) {
  std::set<double> loads;
  for (const ScalePoint& point : points) {
    if (!(point.load >= 1) || !(point.throughput > 0)) return std::nullopt;
    loads.insert(point.load);
  }
  if (loads.size() < kLoads) return std::nullopt;
  const std::optional<Law> law = Fit(points);
  if (!law) return std::nullopt;
  v1::ScalabilityFit fit;
  fit.set_lambda(law->lambda);
  fit.set_sigma(law->sigma);
  fit.set_kappa(law->kappa);
  const double peak = law->Peak();
  if (std::isfinite(peak)) {
    fit.set_peak_load(std::max(1.0, peak));
    fit.set_peak_throughput(law->At(std::max(1.0, peak)));
  }
  fit.set_lowest_load(*loads.begin());
  fit.set_lowest_throughput(law->At(*loads.begin()));
  fit.set_highest_load(*loads.rbegin());
  fit.set_relative_error(std::sqrt(Misfit(*law, points) / static_cast<double>(points.size())));
  if (points.size() < kPointsForIntervals) return fit;

  // With as many parameters as three, residuals are smaller than errors are.
  const double inflate =
      std::sqrt(static_cast<double>(points.size()) / static_cast<double>(points.size() - 3));
  std::vector<double> residuals;
  for (const ScalePoint& point : points)
    residuals.push_back(inflate * (point.throughput / law->At(point.load) - 1));
  Random random(1);
  std::vector<Law> laws;
  for (int i = 0; i < kFits; ++i) {
    std::vector<ScalePoint> drawn = points;
    for (ScalePoint& point : drawn) {
      const double residual = residuals[random.Between(0, residuals.size() - 1)];
      point.throughput = law->At(point.load) * std::max(0.01, 1 + residual);
    }
    if (const std::optional<Law> again = Fit(drawn)) laws.push_back(*again);
  }
  if (laws.empty()) return fit;
  *fit.mutable_lambda_bounds() = BoundsOf(laws, [](const Law& one) { return one.lambda; });
  *fit.mutable_sigma_bounds() = BoundsOf(laws, [](const Law& one) { return one.sigma; });
  *fit.mutable_kappa_bounds() = BoundsOf(laws, [](const Law& one) { return one.kappa; });
  if (fit.has_peak_load())
    *fit.mutable_peak_bounds() = BoundsOf(laws, [](const Law& one) { return std::max(1.0, one.Peak()); });
  return fit;
}

}  // namespace trunkload

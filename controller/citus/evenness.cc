#include "controller/citus/evenness.h"

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <cmath>
#include <numeric>

namespace trunkload {

v1::Evenness MeasureEvenness(const std::vector<double>& counts, const std::vector<double>& shares) {
  v1::Evenness evenness;
  evenness.set_p_value(1);
  const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
  const double all_shares = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (sum <= 0 || all_shares <= 0) return evenness;
  std::vector<double> relative;
  double chi_square = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = sum * shares[i] / all_shares;
    relative.push_back(counts[i] / expected);
    chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  std::sort(relative.begin(), relative.end());
  const auto n = static_cast<double>(relative.size());
  const double mean = std::accumulate(relative.begin(), relative.end(), 0.0) / n;
  double squares = 0;
  double ranked = 0;
  for (size_t i = 0; i < relative.size(); ++i) {
    squares += (relative[i] - mean) * (relative[i] - mean);
    ranked += (2 * static_cast<double>(i + 1) - n - 1) * relative[i];
  }
  evenness.set_max_over_mean(relative.back());
  evenness.set_coefficient_of_variation(std::sqrt(squares / n) / mean);
  evenness.set_gini(ranked / (n * n * mean));
  evenness.set_chi_square(chi_square);
  evenness.set_degrees_of_freedom(static_cast<uint32_t>(relative.size() - 1));
  if (relative.size() > 1) {
    evenness.set_p_value(
        boost::math::cdf(boost::math::complement(boost::math::chi_squared(n - 1), chi_square)));
  }
  return evenness;
}

}  // namespace trunkload

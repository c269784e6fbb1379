#pragma once

#include <optional>
#include <vector>

#include "trunkload/v1/result.pb.h"

namespace trunkload {

struct ScalePoint {
  double load = 0;        // how many connections, clients, …: at least 1
  double throughput = 0;  // per second
};

// Fits Gunther's universal scalability law, X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)), by least
// squares with relative residuals; sigma is 0 to 1, kappa at least 0. ("Guerrilla Capacity Planning", 2007.)
// None with fewer than four different loads, or without throughput. The intervals hold 95 of 100 fits to
// points whose residuals were drawn anew (bootstrap); they are absent with fewer than five points, for then
// they would say nothing.
std::optional<v1::ScalabilityFit> FitScalability(const std::vector<ScalePoint>& points);

}  // namespace trunkload

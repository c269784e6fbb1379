#pragma once

#include <vector>

#include "trunkload/v1/result.pb.h"

namespace trunkload {

// How evenly something that can be counted falls on places that are each to get a share of it. `counts` and
// `shares` have the same, positive, size; shares are positive and need not add up to 1. All is 0, and p_value
// 1, where nothing fell.
//
// Against its share means: count / (sum × share / sum of shares). max_over_mean is the highest of these, the
// coefficient of variation their standard deviation, Gini their mean absolute difference over twice their
// mean. chi_square is Pearson's sum of (count - expected)² / expected with so many degrees of freedom;
// p_value is how likely as much or more is where each thing fell by itself, by chance.
v1::Evenness MeasureEvenness(const std::vector<double>& counts, const std::vector<double>& shares);

}  // namespace trunkload

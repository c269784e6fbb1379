#include "controller/sweep/scalability.h"

#include <cmath>
#include <random>

#include "gtest/gtest.h"

namespace trunkload {
namespace {

constexpr double kLoads[] = {1, 2, 4, 8, 16, 32, 64};

double Law(double n, double lambda, double sigma, double kappa) {
  return lambda * n / (1 + sigma * (n - 1) + kappa * n * (n - 1));
}

std::vector<ScalePoint> Points(double lambda, double sigma, double kappa, double noise = 0,
                               uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<ScalePoint> points;
  for (const double n : kLoads)
    points.push_back({n, Law(n, lambda, sigma, kappa) * (1 + noise * normal(random))});
  return points;
}

TEST(ScalabilityTest, FindsTheLawThatMadeThePoints) {
  const auto fit = FitScalability(Points(1000, 0.03, 0.0004));
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->lambda(), 1000, 1e-6);
  EXPECT_NEAR(fit->sigma(), 0.03, 1e-9);
  EXPECT_NEAR(fit->kappa(), 0.0004, 1e-11);
  EXPECT_NEAR(fit->peak_load(), std::sqrt(0.97 / 0.0004), 1e-6);
  EXPECT_NEAR(fit->relative_error(), 0, 1e-9);
  EXPECT_EQ(fit->highest_load(), 64);
}

TEST(ScalabilityTest, WithoutCrosstalkThereIsNoPeak) {
  const auto fit = FitScalability(Points(500, 0.1, 0));
  ASSERT_TRUE(fit);
  EXPECT_FALSE(fit->has_peak_load());
  EXPECT_NEAR(fit->sigma(), 0.1, 1e-9);
  const auto straight = FitScalability(Points(500, 0, 0));
  ASSERT_TRUE(straight);
  EXPECT_NEAR(straight->sigma(), 0, 1e-9);
}

// More than twice of one is not what the law knows: neither is negative.
TEST(ScalabilityTest, ParametersAreNeverNegative) {
  const auto fit = FitScalability({{1, 100}, {2, 230}, {4, 480}, {8, 1000}});
  ASSERT_TRUE(fit);
  EXPECT_GE(fit->sigma(), 0);
  EXPECT_GE(fit->kappa(), 0);
}

// More than all of the work can't be serial: a fit that has it so would see a peak far above anything
// measured.
TEST(ScalabilityTest, ContentionIsAtMostAll) {
  const auto fit = FitScalability({{4, 30127}, {8, 25949}, {16, 26256}, {32, 17995}, {64, 18304}});
  ASSERT_TRUE(fit);
  EXPECT_LE(fit->sigma(), 1);
  EXPECT_LE(fit->sigma_bounds().high(), 1);
  EXPECT_LT(fit->lambda(), 35000);
  EXPECT_EQ(fit->lowest_load(), 4);
  EXPECT_NEAR(fit->lowest_throughput(), 28000, 3000);
}

TEST(ScalabilityTest, TheIntervalsHoldTheTruthMostly) {
  constexpr int kRuns = 200;
  int held = 0;
  for (int run = 0; run < kRuns; ++run) {
    const auto fit = FitScalability(Points(1000, 0.05, 0.002, 0.03, static_cast<uint64_t>(run)));
    ASSERT_TRUE(fit);
    const double peak = std::sqrt(0.95 / 0.002);
    held += fit->has_peak_bounds() && fit->peak_bounds().low() <= peak && peak <= fit->peak_bounds().high();
  }
  // With seven points 95 of 100 is more than can be had from them.
  EXPECT_GE(held, kRuns * 80 / 100);
}

TEST(ScalabilityTest, TooLittleToFit) {
  EXPECT_FALSE(FitScalability({}));
  EXPECT_FALSE(FitScalability({{1, 10}, {2, 20}, {4, 30}}));
  EXPECT_FALSE(FitScalability({{1, 10}, {2, 20}, {4, 30}, {4, 31}})) << "three different loads";
  EXPECT_FALSE(FitScalability({{1, 10}, {2, 20}, {4, 30}, {8, 0}}));
  EXPECT_FALSE(FitScalability({{0, 10}, {2, 20}, {4, 30}, {8, 40}}));
  const auto four = FitScalability({{1, 10}, {2, 18}, {4, 30}, {8, 40}});
  ASSERT_TRUE(four);
  EXPECT_FALSE(four->has_lambda_bounds());
}

}  // namespace
}  // namespace trunkload

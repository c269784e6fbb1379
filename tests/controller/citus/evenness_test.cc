#include "controller/citus/evenness.h"

#include "gtest/gtest.h"

namespace trunkload {
namespace {

// Worked out by hand; the p-values are those of R's pchisq(x, df, lower.tail = FALSE).
TEST(EvennessTest, KnownFigures) {
  const v1::Evenness even = MeasureEvenness({25, 25, 25, 25}, {1, 1, 1, 1});
  EXPECT_DOUBLE_EQ(even.max_over_mean(), 1);
  EXPECT_DOUBLE_EQ(even.coefficient_of_variation(), 0);
  EXPECT_DOUBLE_EQ(even.gini(), 0);
  EXPECT_DOUBLE_EQ(even.chi_square(), 0);
  EXPECT_DOUBLE_EQ(even.p_value(), 1);

  const v1::Evenness uneven = MeasureEvenness({10, 20, 30, 40}, {1, 1, 1, 1});
  EXPECT_DOUBLE_EQ(uneven.max_over_mean(), 1.6);
  EXPECT_NEAR(uneven.coefficient_of_variation(), 0.447214, 1e-6);
  EXPECT_NEAR(uneven.gini(), 0.25, 1e-12);
  EXPECT_DOUBLE_EQ(uneven.chi_square(), 20);
  EXPECT_EQ(uneven.degrees_of_freedom(), 3);
  EXPECT_NEAR(uneven.p_value(), 0.0001697424, 1e-9);

  const v1::Evenness one = MeasureEvenness({100, 0, 0, 0}, {1, 1, 1, 1});
  EXPECT_DOUBLE_EQ(one.max_over_mean(), 4);
  EXPECT_DOUBLE_EQ(one.gini(), 0.75);
}

TEST(EvennessTest, AgainstSharesThatDiffer) {
  const v1::Evenness fair = MeasureEvenness({10, 30, 60}, {1, 3, 6});
  EXPECT_DOUBLE_EQ(fair.max_over_mean(), 1);
  EXPECT_NEAR(fair.p_value(), 1, 1e-12);
  EXPECT_NEAR(MeasureEvenness({60, 30, 10}, {1, 3, 6}).max_over_mean(), 6, 1e-12);
}

TEST(EvennessTest, NothingToMeasure) {
  for (const auto& counts : {std::vector<double>{0, 0}, {0}, {}}) {
    const v1::Evenness none = MeasureEvenness(counts, std::vector<double>(counts.size(), 1));
    EXPECT_EQ(none.max_over_mean(), 0);
    EXPECT_EQ(none.p_value(), 1);
  }
  EXPECT_EQ(MeasureEvenness({7}, {1}).p_value(), 1);
}

}  // namespace
}  // namespace trunkload

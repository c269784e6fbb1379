#include "agent/row_text.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

std::string All(RowText& rows) {
  std::string text;
  for (std::string_view piece = rows.NextPiece(); !piece.empty(); piece = rows.NextPiece()) {
    EXPECT_EQ(piece.back(), '\n') << "whole rows";
    text += piece;
  }
  return text;
}

TEST(RowTextTest, AccountsOverTheBordersOfDigitsAndBranches) {
  RowText rows(v1::WORKLOAD_PGBENCH);
  rows.Start({9, 10});
  EXPECT_EQ(All(rows), "9\t1\t0\t\n10\t1\t0\t\n");
  rows.Start({99'999, 100'001});
  EXPECT_EQ(All(rows), "99999\t1\t0\t\n100000\t1\t0\t\n100001\t2\t0\t\n");
  rows.Start({5'000'000'000, 5'000'000'000});
  EXPECT_EQ(All(rows), "5000000000\t50000\t0\t\n");
}

TEST(RowTextTest, EveryKeyOfManyPieces) {
  RowText rows(v1::WORKLOAD_PGBENCH);
  rows.Start({1, 210'000});
  std::string expected;
  for (int key = 1; key <= 210'000; ++key)
    absl::StrAppend(&expected, key, "\t", (key - 1) / 100'000 + 1, "\t0\t\n");
  EXPECT_TRUE(All(rows) == expected);
}

TEST(RowTextTest, Users) {
  RowText rows(v1::WORKLOAD_USERS);
  rows.Start({999, 1000});
  EXPECT_EQ(All(rows), "999\tuser 999\tuser999@example.com\n1000\tuser 1000\tuser1000@example.com\n");
}

}  // namespace
}  // namespace trunkload

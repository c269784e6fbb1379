#include "controller/connection_room.h"

#include "gtest/gtest.h"

namespace trunkload {
namespace {

TEST(ConnectionRoomTest, OfASuperuser) {
  const auto room = ParseConnectionRoom("4711 100 3 2 1 10 18", 4711);
  ASSERT_TRUE(room.ok()) << room.status();
  EXPECT_EQ(room->most(), 100);
  EXPECT_EQ(room->in_use(), 17) << "without the one that asks";
  EXPECT_FALSE(room->pooled());
}

TEST(ConnectionRoomTest, OfOthers) {
  EXPECT_EQ(ParseConnectionRoom("1 100 3 2 0 2000000000 1", 1)->most(), 95);
  EXPECT_EQ(ParseConnectionRoom("1 100 3 0 0 10 1", 1)->most(), 10)
      << "the role's, the database's or Citus' limit";
}

TEST(ConnectionRoomTest, BehindAPooler) {
  EXPECT_TRUE(ParseConnectionRoom("1 100 3 0 0 10 1", 815)->pooled());
}

TEST(ConnectionRoomTest, NoNumbers) {
  for (const char* text : {"", "1", "1 2 3 4 5 6", "1 2 3 4 5 6 7 8", "1 2 3 4 5 6 x", "1 2 3 4 5 6 -7",
                           "1 2 3 4 5 6 99999999999"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseConnectionRoom(text, 1).status())) << text;
  }
}

}  // namespace
}  // namespace trunkload

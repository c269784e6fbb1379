#include "controller/connect_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trunkload {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kRefused[] =
    "connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n"
    "\tIs the server running on that host and accepting TCP/IP connections?\n";

TEST(ConnectErrorTest, OneLineKeepsTheReasonOnly) {
  EXPECT_EQ(OneLine(kRefused), "Connection refused");
}

TEST(ConnectErrorTest, SeveralHostsKeepTheirOwnReasons) {
  const std::string both = OneLine(
      "connection to server at \"a\", port 1 failed: Connection refused\n"
      "connection to server at \"b\", port 1 failed: timeout expired\n");
  EXPECT_THAT(both, HasSubstr("\"a\""));
  EXPECT_THAT(both, HasSubstr("\"b\""));
  EXPECT_THAT(both, Not(HasSubstr("\n")));
}

TEST(ConnectErrorTest, PasswordIsMasked) {
  EXPECT_EQ(OneLine("invalid value \"hunter2\" for it", "hunter2"), "invalid value \"***\" for it");
}

TEST(ConnectErrorTest, SaysWhereToAndWhatToCheck) {
  const ConnectTarget target{"127.0.0.1", "1", "bench", "alice"};
  const std::string text = ConnectErrorText(target, OneLine(kRefused));
  EXPECT_THAT(text, HasSubstr("host=127.0.0.1 port=1 dbname=bench user=alice"));
  EXPECT_THAT(text, HasSubstr("Connection refused"));
  EXPECT_THAT(text, HasSubstr("trunkload stack up"));
  EXPECT_THAT(ConnectErrorText(target, "database \"bench\" does not exist"), HasSubstr("createdb bench"));
  EXPECT_THAT(ConnectErrorText(target, "password authentication failed for user \"alice\""),
              HasSubstr("password file"));
}

}  // namespace
}  // namespace trunkload

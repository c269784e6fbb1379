#include "controller/access/failure_limit.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "controller/access/peer_address.h"

namespace trunkload {
namespace {

TEST(FailureLimit, WhoFailsTooOftenWaitsAndIsForgiven) {
  FailureLimit limit;
  for (int i = 0; i < FailureLimit::kMostFailures; ++i) {
    EXPECT_TRUE(limit.MayTry("10.0.0.1", 0));
    limit.OnFailure("10.0.0.1", 0);
  }
  EXPECT_FALSE(limit.MayTry("10.0.0.1", 0));
  EXPECT_TRUE(limit.MayTry("10.0.0.2", 0));
  EXPECT_TRUE(limit.MayTry("10.0.0.1", FailureLimit::kNanosPerFailure + 1));
  limit.OnFailure("10.0.0.1", FailureLimit::kNanosPerFailure + 1);
  EXPECT_FALSE(limit.MayTry("10.0.0.1", FailureLimit::kNanosPerFailure + 1));
}

TEST(FailureLimit, RemembersOnlySoMany) {
  FailureLimit limit;
  for (int i = 0; i < FailureLimit::kMostFailures; ++i) limit.OnFailure("first", 0);
  for (size_t i = 0; i < FailureLimit::kMostAddresses - 1; ++i) limit.OnFailure(absl::StrCat("a", i), 0);
  EXPECT_FALSE(limit.MayTry("first", 0));
  limit.OnFailure("one more", 0);
  EXPECT_TRUE(limit.MayTry("first", 0));
}

TEST(FailureLimit, AddressIsTheHostOfIpv4AndTheNetworkOfIpv6) {
  EXPECT_EQ(AddressOfPeer("ipv4:10.0.0.7:51234"), "10.0.0.7");
  EXPECT_EQ(AddressOfPeer("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:51234"), "2001:db8:1:2::");
  EXPECT_EQ(AddressOfPeer("ipv6:[2001:db8:1:2::9]:51234"), "2001:db8:1:2::");
  EXPECT_EQ(AddressOfPeer("ipv6:%5B::ffff:10.0.0.7%5D:51234"), "10.0.0.7");
  EXPECT_EQ(AddressOfPeer("unix:"), "unix:");
  EXPECT_EQ(AddressOfPeer(""), "");
}

}  // namespace
}  // namespace trunkload

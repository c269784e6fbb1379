#include "controller/access/permission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace trunkload {
namespace {

using ::testing::HasSubstr;

constexpr Rpc kAll[] = {Rpc::kJoin,     Rpc::kKeepAlive,   Rpc::kRun,        Rpc::kCancel,     Rpc::kFollow,
                        Rpc::kListRuns, Rpc::kCreateToken, Rpc::kListTokens, Rpc::kRevokeToken};

std::set<Rpc> AllowedTo(Role role) {
  std::set<Rpc> allowed;
  for (const Rpc rpc : kAll) {
    if (CheckPermission({true, "one", Roles(role)}, rpc).ok()) allowed.insert(rpc);
  }
  return allowed;
}

TEST(Permission, AgentsMayJoinAndNothingElse) {
  EXPECT_EQ(AllowedTo(Role::kAgent), (std::set<Rpc>{Rpc::kJoin, Rpc::kKeepAlive}));
}

TEST(Permission, ViewersMayLook) {
  EXPECT_EQ(AllowedTo(Role::kViewer), (std::set<Rpc>{Rpc::kFollow, Rpc::kListRuns}));
}

TEST(Permission, OperatorsMayAllThatPeopleDo) {
  EXPECT_EQ(AllowedTo(Role::kOperator),
            (std::set<Rpc>{Rpc::kRun, Rpc::kCancel, Rpc::kFollow, Rpc::kListRuns, Rpc::kCreateToken,
                           Rpc::kListTokens, Rpc::kRevokeToken}));
}

TEST(Permission, ControllersMayNothing) {
  EXPECT_TRUE(AllowedTo(Role::kController).empty());
}

TEST(Permission, WithoutRoleOrCertificateNothingIsAllowed) {
  for (const Rpc rpc : kAll) {
    EXPECT_TRUE(absl::IsPermissionDenied(CheckPermission({true, "one", Roles()}, rpc)));
    EXPECT_TRUE(absl::IsUnauthenticated(CheckPermission({}, rpc)));
  }
}

TEST(Permission, RefusalSaysWhoIsWhatAndWhatItTakes) {
  const std::string why(CheckPermission({true, "carol", Roles(Role::kViewer)}, Rpc::kCancel).message());
  EXPECT_THAT(why, HasSubstr("cancelling a run takes an operator's certificate"));
  EXPECT_THAT(why, HasSubstr("carol has the role viewer"));
}

TEST(Permission, RolesAddUp) {
  const std::string both[] = {"trunkload:agent", "trunkload:viewer", "Example Inc."};
  const Roles roles = Roles::Of(both);
  EXPECT_TRUE(CheckPermission({true, "one", roles}, Rpc::kJoin).ok());
  EXPECT_TRUE(CheckPermission({true, "one", roles}, Rpc::kListRuns).ok());
  EXPECT_FALSE(CheckPermission({true, "one", roles}, Rpc::kRun).ok());
}

TEST(Permission, OrganizationsThatOnlyLookLikeRolesAreNone) {
  for (const char* organization : {"trunkload:", "trunkload:Operator", " trunkload:operator", "operator",
                                   "trunkload:operator ", "trunkload:operators", "Trunkload:operator"}) {
    const std::string one[] = {organization};
    EXPECT_TRUE(Roles::Of(one).empty()) << organization;
  }
}

TEST(Permission, PathsAreThoseOfTheServices) {
  EXPECT_EQ(RpcOfPath("/trunkload.v1.FleetService/Join"), Rpc::kJoin);
  EXPECT_EQ(RpcOfPath("/trunkload.v1.TokenService/Revoke"), Rpc::kRevokeToken);
  EXPECT_EQ(RpcOfPath("/trunkload.v1.ControlService/Join"), std::nullopt);
  EXPECT_EQ(RpcOfPath(""), std::nullopt);
}

}  // namespace
}  // namespace trunkload

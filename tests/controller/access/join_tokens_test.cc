#include "controller/access/join_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "controller/access/join_token.h"

namespace trunkload {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

// What the controller does with a token and the Hello that comes with it.
absl::Status Join(JoinTokens& tokens, const std::string& text, uint64_t instance, absl::Time now = kNow) {
  const absl::StatusOr<std::string> id = tokens.Identify(text);
  if (!id.ok()) return id.status();
  const absl::Status status = tokens.CheckAdmission(*id, instance, now);
  if (status.ok()) tokens.Admit(*id, instance);
  return status;
}

TEST(JoinToken, TextIsReadBack) {
  const JoinToken token = JoinToken::Draw();
  const auto read = JoinToken::Parse(token.Text() + "\n");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->id, token.id);
  EXPECT_EQ(read->secret, token.secret);
  EXPECT_NE(JoinToken::Draw().secret, token.secret);
}

TEST(JoinToken, WhatIsNoneIsRefused) {
  const std::string good = JoinToken::Draw().Text();
  for (const std::string& text :
       {std::string(), std::string("trunkload-token"), std::string(".."), good + "0", good.substr(1),
        good.substr(0, good.size() - 1), good + ".0", "x" + good, std::string(1 << 20, '.')}) {
    EXPECT_FALSE(JoinToken::Parse(text).has_value()) << text.substr(0, 100);
  }
}

TEST(JoinToken, HashIsSha256OfTheSecret) {
  const JoinToken token{"0123456789ab", "abc"};
  EXPECT_EQ(absl::BytesToHexString(token.Hash()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(JoinTokens, LetsInOneAgentAndItsReturnButNobodyElse) {
  JoinTokens tokens;
  const auto made = tokens.Create(kNow, absl::Hours(1), 1);
  EXPECT_TRUE(Join(tokens, made.text, 1).ok());
  EXPECT_TRUE(Join(tokens, made.text, 1).ok());
  const absl::Status replayed = Join(tokens, made.text, 2);
  EXPECT_TRUE(absl::IsPermissionDenied(replayed));
  EXPECT_THAT(std::string(replayed.message()), HasSubstr("has let in the 1 agent that it was made for"));
}

TEST(JoinTokens, LetsInAsManyAsItSays) {
  JoinTokens tokens;
  const auto three = tokens.Create(kNow, absl::Hours(1), 3);
  for (uint64_t instance = 1; instance <= 3; ++instance) EXPECT_TRUE(Join(tokens, three.text, instance).ok());
  EXPECT_FALSE(Join(tokens, three.text, 4).ok());
  const auto any = tokens.Create(kNow, absl::Hours(1), 0);
  for (uint64_t instance = 1; instance <= 100; ++instance) EXPECT_TRUE(Join(tokens, any.text, instance).ok());
}

TEST(JoinTokens, ExpiredLetsNobodyInButThoseItKnows) {
  JoinTokens tokens;
  const auto made = tokens.Create(kNow, absl::Hours(1), 2);
  EXPECT_TRUE(Join(tokens, made.text, 1, kNow + absl::Minutes(59)).ok());
  const absl::Status late = Join(tokens, made.text, 2, kNow + absl::Hours(1));
  EXPECT_TRUE(absl::IsPermissionDenied(late));
  EXPECT_THAT(std::string(late.message()), HasSubstr("expired at"));
  EXPECT_TRUE(Join(tokens, made.text, 1, kNow + absl::Hours(1)).ok());
}

TEST(JoinTokens, RevokedLetsNobodyIn) {
  JoinTokens tokens;
  const auto made = tokens.Create(kNow, absl::Hours(1), 2);
  EXPECT_TRUE(Join(tokens, made.text, 1).ok());
  EXPECT_TRUE(tokens.CheckMember(made.record.id, 1).ok());
  ASSERT_TRUE(tokens.Revoke(made.record.id, kNow).ok());
  const absl::Status status = Join(tokens, made.text, 1);
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("was revoked at"));
  EXPECT_TRUE(absl::IsPermissionDenied(tokens.CheckMember(made.record.id, 1)));
  EXPECT_TRUE(absl::IsNotFound(tokens.Revoke("nobody", kNow).status()));
}

TEST(JoinTokens, WrongSecretTellsNothingOfTheToken) {
  JoinTokens tokens;
  const auto made = tokens.Create(kNow, absl::Hours(1), 1);
  std::string wrong = made.text;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  const absl::Status unknown = tokens.Identify(JoinToken::Draw().Text()).status();
  EXPECT_EQ(tokens.Identify(wrong).status(), unknown);
  EXPECT_TRUE(absl::IsUnauthenticated(unknown));
  ASSERT_TRUE(tokens.Revoke(made.record.id, kNow).ok());
  EXPECT_EQ(tokens.Identify(wrong).status(), unknown);
}

TEST(JoinTokens, SecretIsNotKept) {
  JoinTokens tokens;
  const auto made = tokens.Create(kNow, absl::Hours(1), 1);
  const auto token = JoinToken::Parse(made.text);
  EXPECT_THAT(made.record.hash, Not(HasSubstr(token->secret)));
  EXPECT_EQ(made.record.hash.size(), 32U);
}

TEST(JoinTokens, MemberIsWhoWasLetIn) {
  JoinTokens tokens;
  const auto made = tokens.Create(kNow, absl::Hours(1), 1);
  EXPECT_FALSE(tokens.CheckMember(made.record.id, 1).ok());
  EXPECT_TRUE(tokens.Admit(made.record.id, 1));
  EXPECT_FALSE(tokens.Admit(made.record.id, 1));
  EXPECT_TRUE(tokens.CheckMember(made.record.id, 1).ok());
  EXPECT_FALSE(tokens.CheckMember(made.record.id, 2).ok());
  tokens.TakeBack(made.record.id, 1);
  EXPECT_TRUE(Join(tokens, made.text, 2).ok());
}

TEST(JoinTokens, AreThereAgainFromWhatWasKept) {
  JoinTokens before;
  const auto made = before.Create(kNow, absl::Hours(1), 1);
  EXPECT_TRUE(Join(before, made.text, 7).ok());
  JoinTokens after(before.List());
  EXPECT_TRUE(Join(after, made.text, 7).ok());
  EXPECT_FALSE(Join(after, made.text, 8).ok());
}

}  // namespace
}  // namespace trunkload

#include "controller/plan/conninfo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace trunkload {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ConninfoTest, KeepsWhatHasNoPassword) {
  for (const std::string conninfo : {"", "host=a  port = 5432", "postgresql://u@h:1,h2/db?sslmode=require"}) {
    EXPECT_EQ(CheckConninfo(conninfo), absl::OkStatus()) << conninfo;
    EXPECT_EQ(RedactedConninfo(conninfo), conninfo);
  }
}

TEST(ConninfoTest, RemovesEverySpellingOfAPassword) {
  for (const std::string conninfo :
       {"host=h password=geheim", "password=geheim host=h", "host=h password = 'geheim x'",
        "host=h password='x\\'geheim'", "host=h password=x\\ geheim", "password='' host=h sslpassword=geheim",
        "postgresql://:geheim@h", "postgres://h?password=geheim", "postgres://h?p%61ssword=geheim",
        "postgresql://:%67eheim@h", "password=a password=geheim host=h", "password=geheim\nhost=h"}) {
    ASSERT_EQ(CheckConninfo(conninfo), absl::OkStatus()) << conninfo;
    EXPECT_EQ(RedactedConninfo(conninfo), "host='h'") << conninfo;
  }
  EXPECT_EQ(RedactedConninfo("password=geheim user='o\\'neil \\\\x' dbname=''"),
            "user='o\\'neil \\\\x' dbname=''");
}

TEST(ConninfoTest, WhatLibpqRefusesIsRefusedWithoutASecret) {
  for (const std::string conninfo :
       {"geheim", "host=h password=a geheim", "password='geheim", "passwort=geheim", "password=x geheim=y",
        "postgresql://u:geheim@h/db?x=y", "postgresql://u:geheim@[h", "postgresql://u:geheim%zz@h"}) {
    const absl::Status status = CheckConninfo(conninfo);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << conninfo;
    EXPECT_THAT(std::string(status.message()), HasSubstr("expected key=value pairs"));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("geheim"))) << conninfo;
    EXPECT_EQ(RedactedConninfo(conninfo), "") << conninfo;
  }
  EXPECT_FALSE(CheckConninfo(std::string("host=h\0 password=geheim", 23)).ok());
  EXPECT_EQ(RedactedConninfo(std::string("host=h\0 password=geheim", 23)), "");
}

// libpq takes each of these, and the rest of the password for a host, a port or a database.
TEST(ConninfoTest, RefusesAUriThatAPasswordFallsOutOf) {
  for (const std::string conninfo : {"postgresql://bench:gehe/im@db1/bench",
                                     "postgresql://bench:gehe@im@db1/bench", "postgres://bench:geheim"}) {
    const absl::Status status = CheckConninfo(conninfo);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << conninfo;
    EXPECT_THAT(std::string(status.message()), HasSubstr("%40, %2F or %3A"));
    EXPECT_EQ(RedactedConninfo(conninfo), "") << conninfo;
  }
  EXPECT_EQ(CheckConninfo("postgresql://bench:gehe%40im@db1/a%40b?user=c@d"), absl::OkStatus());
}

TEST(ConninfoTest, TellsWhatIsSecretInEverySpelling) {
  const std::pair<const char*, const char*> passwords[] = {{"host=h password=geheim", "geheim"},
                                                           {"host=h password = 'ge heim'", "ge heim"},
                                                           {"postgresql://u:ge%40heim@h/d", "ge@heim"},
                                                           {"postgres://h?p%61ssword=geheim", "geheim"},
                                                           {"password=a password=b", "b"},
                                                           {"password=''", ""}};
  for (const auto& [conninfo, password] : passwords) {
    const ConninfoSecrets secrets = SecretsOf(conninfo);
    EXPECT_EQ(secrets.password, password) << conninfo;
    EXPECT_TRUE(secrets.any());
    EXPECT_FALSE(secrets.has_key_password);
    EXPECT_FALSE(SecretsOf(RedactedConninfo(conninfo)).any());
  }
  EXPECT_TRUE(SecretsOf("host=h sslpassword=geheim").has_key_password);
  for (const char* none :
       {"", "host=h", "passfile=/home/u/.pgpass", "postgresql://u@h/d", "password='geheim", "geheim"})
    EXPECT_FALSE(SecretsOf(none).any()) << none;
}

TEST(ConninfoTest, TextsThatMayHoldAPasswordAreTold) {
  for (const char* may :
       {"--target=host=h password=geheim", "PassWord=geheim", "postgresql://u:geheim@h",
        "--set=target.conninfo=postgres://u:ge@heim@h/d", "postgres://h?p%61ssword=geheim"}) {
    EXPECT_TRUE(MayHoldPassword(may)) << may;
  }
  for (const char* not_ :
       {"", "--target", "host=h port=5432", "postgresql://u@h:5432/d", "http://h:80/", "a:b@c"})
    EXPECT_FALSE(MayHoldPassword(not_)) << not_;
}

TEST(ConninfoTest, NamesTheNearestOption) {
  EXPECT_THAT(std::string(CheckConninfo("host=h prot=5432").message()),
              HasSubstr("'prot' is not an option of libpq's; did you mean 'port'?"));
}

TEST(ConninfoTest, EachHostGoesFirstOnce) {
  EXPECT_THAT(ConninfosByHost("host=a,b,c port=1,2,3 user=u"),
              testing::ElementsAre("user='u' host='a,b,c' port='1,2,3'", "user='u' host='b,c,a' port='2,3,1'",
                                   "user='u' host='c,a,b' port='3,1,2'"));
  EXPECT_THAT(ConninfosByHost("postgresql://u:p%27w@a,b/d?port=7"),
              testing::ElementsAre("user='u' password='p\\'w' dbname='d' host='a,b' port='7'",
                                   "user='u' password='p\\'w' dbname='d' host='b,a' port='7'"));
  EXPECT_THAT(ConninfosByHost("host=a port=5432"), testing::ElementsAre("host='a' port='5432'"));
  EXPECT_THAT(ConninfosByHost("dbname=d"), testing::ElementsAre("dbname='d'"));
  EXPECT_THAT(ConninfosByHost("no conninfo"), testing::IsEmpty());
}

TEST(ConninfoTest, TellsWhatSessionsCallThemselves) {
  EXPECT_EQ(ApplicationNameOf("host=h application_name='the shop'"), "the shop");
  EXPECT_EQ(ApplicationNameOf("postgresql://h/d?application_name=shop"), "shop");
  EXPECT_EQ(ApplicationNameOf("host=h"), "");
  EXPECT_EQ(ApplicationNameOf("host"), "");
}

}  // namespace
}  // namespace trunkload

#include "common/tls/tls_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/tls/certificate.h"
#include "common/tls/controller_check.h"
#include "controller/certs/authority.h"

namespace trunkload {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

KeyAndCertificate Make(Role role, std::vector<std::string> hosts = {}) {
  const auto own = Authority::Make(kNow - absl::Hours(1), kNow + absl::Hours(10));
  const auto authority = Authority::Read(*own);
  return *authority->Issue({.name = "one",
                            .role = role,
                            .hosts = std::move(hosts),
                            .from = kNow - absl::Hours(1),
                            .to = kNow + absl::Hours(1)});
}

class TlsFolderTest : public ::testing::Test {
 protected:
  TlsFolderTest() : path_(absl::StrCat(::testing::TempDir(), "/tls-", getpid())), folder_(path_) {
    std::filesystem::create_directories(path_);
    const auto own = Authority::Make(kNow - absl::Hours(1), kNow + absl::Hours(10));
    Write("ca.crt", own->certificate);
  }
  ~TlsFolderTest() override { std::filesystem::remove_all(path_); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
  }
  void Write(const KeyAndCertificate& pair) const {
    Write("tls.crt", pair.certificate);
    Write("tls.key", pair.key);
  }
  void ExpectRefused(const std::string& words, absl::Time now = kNow) const {
    const auto material = folder_.Read(now);
    ASSERT_FALSE(material.ok());
    EXPECT_THAT(std::string(material.status().message()), HasSubstr(words));
    EXPECT_THAT(std::string(material.status().message()), HasSubstr(path_));
  }

  const std::string path_;
  const TlsFolder folder_;
};

TEST_F(TlsFolderTest, WhatFitsTogetherIsRead) {
  const KeyAndCertificate pair = Make(Role::kAgent);
  Write(pair);
  const auto material = folder_.Read(kNow);
  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_EQ(material->certificate, pair.certificate);
  EXPECT_EQ(material->key, pair.key);
}

TEST_F(TlsFolderTest, AuthoritiesAloneWillDo) {
  const auto material = folder_.Read(kNow);
  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_EQ(material->certificate, "");
}

TEST_F(TlsFolderTest, MissingFilesAreNamed) {
  Write("tls.crt", Make(Role::kAgent).certificate);
  ExpectRefused("tls.key: No such file");
  std::filesystem::remove(path_ + "/ca.crt");
  ExpectRefused("ca.crt: No such file");
}

TEST_F(TlsFolderTest, WhatIsNoCertificateOrKeyIsNamed) {
  Write(Make(Role::kAgent));
  Write("tls.key", "not a key");
  ExpectRefused("tls.key holds no private key in PEM");
  Write(Make(Role::kAgent));
  Write("tls.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  ExpectRefused("tls.crt: it holds no certificate in PEM");
  Write("ca.crt", "");
  ExpectRefused("ca.crt: it holds no certificate in PEM");
}

TEST_F(TlsFolderTest, KeyOfAnotherIsRefused) {
  Write(Make(Role::kAgent));
  Write("tls.key", Make(Role::kAgent).key);
  ExpectRefused("tls.key is not the key of the certificate in");
}

TEST_F(TlsFolderTest, KeyWithPassphraseIsRefusedWithoutAsking) {
  Write(Make(Role::kAgent));
  Write("tls.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhqFxsvBkLwSQICCAAw\n"
        "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJL5bmQMYj0p0BcS8RTl9LEEgZCq\n"
        "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq\n"
        "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq\n"
        "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n");
  ExpectRefused("locked with a passphrase");
}

TEST_F(TlsFolderTest, TimeIsLookedAt) {
  Write(Make(Role::kAgent));
  ExpectRefused("expired at 2023-11-14 23:13:20 UTC", kNow + absl::Hours(2));
  ExpectRefused("is not valid before 2023-11-14 21:13:20 UTC", kNow - absl::Hours(2));
}

TEST(ControllerCheck, TakesTheNamesAndAddressesOfAController) {
  const std::string pem =
      Make(Role::kController, {"load.example.com", "*.lab.example.com", "10.0.0.5", "::1"}).certificate;
  for (const char* host :
       {"load.example.com", "LOAD.example.com", "a.lab.example.com", "10.0.0.5", "::1", "0:0:0:0:0:0:0:1"})
    EXPECT_TRUE(CheckController(pem, host).ok()) << host;
  for (const char* host : {"example.com", "a.b.lab.example.com", "10.0.0.6", "::2", "one", ""})
    EXPECT_FALSE(CheckController(pem, host).ok()) << host;
  EXPECT_THAT(std::string(CheckController(pem, "10.0.0.6").message()),
              HasSubstr("for load.example.com, *.lab.example.com, 10.0.0.5, ::1, not for 10.0.0.6"));
}

TEST(ControllerCheck, TakesNobodyElse) {
  const absl::Status status =
      CheckController(Make(Role::kAgent, {"load.example.com"}).certificate, "load.example.com");
  EXPECT_THAT(std::string(status.message()), HasSubstr("not a controller's"));
  EXPECT_FALSE(CheckController("", "load.example.com").ok());
}

}  // namespace
}  // namespace trunkload

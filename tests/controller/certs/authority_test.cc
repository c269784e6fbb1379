#include "controller/certs/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "common/tls/certificate.h"
#include "common/tls/openssl.h"
#include "common/tls/tls_folder.h"
#include "controller/certs/certificate_files.h"

namespace trunkload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kFrom = absl::FromUnixSeconds(1'700'000'000);
const absl::Time kTo = kFrom + absl::Hours(24);

class AuthorityTest : public ::testing::Test {
 protected:
  AuthorityTest() : own_(*Authority::Make(kFrom, kTo)), authority_(*Authority::Read(own_)) {}

  KeyAndCertificate Issue(Role role, std::vector<std::string> hosts = {}) {
    const auto issued =
        authority_.Issue({.name = "one", .role = role, .hosts = std::move(hosts), .from = kFrom, .to = kTo});
    EXPECT_TRUE(issued.ok()) << issued.status();
    return issued.value_or(KeyAndCertificate{});
  }

  static Openssl<X509> Read(const std::string& pem) {
    const Openssl<BIO> bio = ReadFrom(pem);
    return Openssl<X509>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  }

  const KeyAndCertificate own_;
  const Authority authority_;
};

TEST_F(AuthorityTest, ControllerIsForServersAndItsHosts) {
  const auto certificate =
      Certificate::Parse(Issue(Role::kController, {"load.example.com", "10.0.0.5", "::1"}).certificate);
  ASSERT_TRUE(certificate.ok());
  EXPECT_EQ(certificate->name, "one");
  EXPECT_EQ(certificate->issuer, "Trunkload authority");
  EXPECT_THAT(certificate->organizations, ElementsAre("trunkload:controller"));
  EXPECT_THAT(certificate->dns_names, ElementsAre("load.example.com"));
  EXPECT_THAT(certificate->addresses, ElementsAre("10.0.0.5", "::1"));
  EXPECT_EQ(certificate->not_before, kFrom);
  EXPECT_EQ(certificate->not_after, kTo);
  EXPECT_TRUE(certificate->for_servers);
  EXPECT_FALSE(certificate->for_clients);
  EXPECT_FALSE(certificate->authority);
}

TEST_F(AuthorityTest, OthersAreForClientsOnly) {
  for (const Role role : {Role::kAgent, Role::kOperator, Role::kViewer}) {
    const auto certificate = Certificate::Parse(Issue(role).certificate);
    ASSERT_TRUE(certificate.ok());
    EXPECT_TRUE(certificate->roles().Has(role));
    EXPECT_EQ(certificate->roles().Text(), NameOf(role));
    EXPECT_TRUE(certificate->for_clients);
    EXPECT_FALSE(certificate->for_servers);
  }
}

TEST(CertificateTest, ANameStandsForARoleWhereThereIsNoOrganization) {
  Certificate certificate;
  certificate.name = "trunkload:agent";
  EXPECT_EQ(certificate.roles().Text(), "agent");
  certificate.organizations = {"somebody else's"};
  EXPECT_TRUE(certificate.roles().empty());
  certificate.organizations = {"trunkload:viewer"};
  EXPECT_EQ(certificate.roles().Text(), "viewer");
  certificate = Certificate();
  EXPECT_TRUE(certificate.roles().empty());
}

TEST_F(AuthorityTest, WhatItIssuesIsSignedByItAndSignsNothing) {
  const Openssl<X509> issuer = Read(authority_.certificate());
  const Openssl<X509> issued = Read(Issue(Role::kAgent).certificate);
  EXPECT_EQ(X509_verify(issued.get(), X509_get0_pubkey(issuer.get())), 1);
  EXPECT_EQ(X509_get_pathlen(issuer.get()), 0);
  EXPECT_EQ(X509_check_ca(issued.get()), 0);
  EXPECT_NE(X509_check_ca(issuer.get()), 0);
  const auto other = Authority::Make(kFrom, kTo);
  EXPECT_NE(X509_verify(issued.get(), X509_get0_pubkey(Read(other->certificate).get())), 1);
}

TEST_F(AuthorityTest, SerialNumbersAreOf128BitsAndDiffer) {
  const Openssl<X509> one = Read(Issue(Role::kAgent).certificate);
  const Openssl<X509> two = Read(Issue(Role::kAgent).certificate);
  for (const auto& certificate : {one.get(), two.get()}) {
    const Openssl<BIGNUM> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
    EXPECT_EQ(BN_num_bits(number.get()), 128);
  }
  EXPECT_NE(ASN1_INTEGER_cmp(X509_get0_serialNumber(one.get()), X509_get0_serialNumber(two.get())), 0);
}

TEST_F(AuthorityTest, NamesThatCantBeAreRefused) {
  for (const char* name : {"", "a b", "../up", ".hidden", "a/b", "ü",
                           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        authority_.Issue({.name = name, .role = Role::kAgent, .from = kFrom, .to = kTo}).status()))
        << name;
  }
  for (const char* host : {"", "a,DNS:b", "host:7400", "a b", "DNS:x\n"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        authority_.Issue({.name = "a", .role = Role::kController, .hosts = {host}, .from = kFrom, .to = kTo})
            .status()))
        << host;
  }
}

TEST_F(AuthorityTest, ControllerWithoutHostIsRefused) {
  const auto issued =
      authority_.Issue({.name = "a", .role = Role::kController, .hosts = {}, .from = kFrom, .to = kTo});
  EXPECT_THAT(std::string(issued.status().message()), HasSubstr("--host"));
}

TEST_F(AuthorityTest, KeyOfAnotherIsNoAuthority) {
  const auto other = Authority::Make(kFrom, kTo);
  EXPECT_FALSE(Authority::Read({other->key, own_.certificate}).ok());
  const KeyAndCertificate agent = Issue(Role::kAgent);
  EXPECT_FALSE(Authority::Read(agent).ok());
}

class CertificateFilesTest : public ::testing::Test {
 protected:
  CertificateFilesTest() : folder_(::testing::TempDir() + "/pki-" + std::to_string(getpid())) {
    std::filesystem::remove_all(folder_);
  }
  ~CertificateFilesTest() override { std::filesystem::remove_all(folder_); }

  static unsigned int ModeOf(const std::string& path) {
    struct stat found {};
    EXPECT_EQ(stat(path.c_str(), &found), 0) << path;
    return found.st_mode & 0777;
  }

  const std::string folder_;
  const absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
};

TEST_F(CertificateFilesTest, FolderIsOneForTlsAndKeysArePrivate) {
  const CertificateFiles files(folder_, /*force=*/false);
  ASSERT_TRUE(files.MakeAuthority(now_, now_ + absl::Hours(48)).ok());
  const auto made = files.Issue(
      {.name = "carol", .role = Role::kOperator, .hosts = {}, .from = now_, .to = now_ + absl::Hours(1)});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(*made, folder_ + "/carol");
  EXPECT_TRUE(TlsFolder(*made).Read(now_ + absl::Minutes(1)).ok());
  EXPECT_EQ(ModeOf(folder_ + "/ca.key"), 0600U);
  EXPECT_EQ(ModeOf(*made + "/tls.key"), 0600U);
}

TEST_F(CertificateFilesTest, NothingIsReplacedWithoutForce) {
  const CertificateFiles files(folder_, /*force=*/false);
  ASSERT_TRUE(files.MakeAuthority(now_, now_ + absl::Hours(48)).ok());
  const absl::Status again = files.MakeAuthority(now_, now_ + absl::Hours(48));
  EXPECT_THAT(std::string(again.message()), HasSubstr("--force"));
  const Authority::Request request{
      .name = "a", .role = Role::kAgent, .hosts = {}, .from = now_, .to = now_ + absl::Hours(1)};
  ASSERT_TRUE(files.Issue(request).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(files.Issue(request).status()));
  EXPECT_TRUE(CertificateFiles(folder_, /*force=*/true).Issue(request).ok());
}

TEST_F(CertificateFilesTest, NothingIsValidForLongerThanTheAuthority) {
  const CertificateFiles files(folder_, /*force=*/false);
  ASSERT_TRUE(files.MakeAuthority(now_, now_ + absl::Hours(2)).ok());
  const auto made = files.Issue(
      {.name = "a", .role = Role::kAgent, .hosts = {}, .from = now_, .to = now_ + absl::Hours(100)});
  ASSERT_TRUE(made.ok());
  const auto material = TlsFolder(*made).Read(now_);
  ASSERT_TRUE(material.ok());
  EXPECT_EQ(Certificate::Parse(material->certificate)->not_after, now_ + absl::Hours(2));
}

TEST_F(CertificateFilesTest, WithoutAuthorityItSaysHowToMakeOne) {
  const auto made = CertificateFiles(folder_, false)
                        .Issue({.name = "a", .role = Role::kAgent, .hosts = {}, .from = now_, .to = now_});
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("trunkload certs init"));
}

}  // namespace
}  // namespace trunkload

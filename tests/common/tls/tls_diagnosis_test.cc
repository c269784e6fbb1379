#include "common/tls/tls_diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "absl/time/clock.h"
#include "common/tls/tls_errors.h"
#include "controller/certs/authority.h"

namespace trunkload {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Certificate(absl::Time from, absl::Time to) {
  const auto own = Authority::Make(from, to);
  return Authority::Read(*own)
      ->Issue({.name = "one", .role = Role::kController, .hosts = {"a"}, .from = from, .to = to})
      ->certificate;
}

TEST(TlsDiagnosis, NothingIsWrong) {
  EXPECT_THAT(ExplainVerifyError(X509_V_OK, 0, ""), IsEmpty());
  EXPECT_THAT(ExplainTlsError(0, true), IsEmpty());
}

TEST(TlsDiagnosis, TimesAreTold) {
  const absl::Time now = absl::Now();
  EXPECT_THAT(ExplainVerifyError(X509_V_ERR_CERT_HAS_EXPIRED, 0,
                                 Certificate(now - absl::Hours(2), now - absl::Hours(1))),
              HasSubstr("the controller's certificate expired at"));
  EXPECT_THAT(ExplainVerifyError(X509_V_ERR_CERT_NOT_YET_VALID, 0,
                                 Certificate(now + absl::Hours(1), now + absl::Hours(2))),
              HasSubstr("the controller's certificate is not valid before"));
  EXPECT_THAT(ExplainVerifyError(X509_V_ERR_CERT_HAS_EXPIRED, 1, ""),
              HasSubstr("authority is not valid now"));
}

TEST(TlsDiagnosis, AnotherAuthorityIsTold) {
  const absl::Time now = absl::Now();
  EXPECT_THAT(ExplainVerifyError(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 0,
                                 Certificate(now, now + absl::Hours(1))),
              AllOf(HasSubstr("another authority (Trunkload authority)"), HasSubstr("ca.crt")));
}

TEST(TlsDiagnosis, OthersAreOpensslsOwn) {
  EXPECT_THAT(ExplainVerifyError(X509_V_ERR_CERT_REVOKED, 0, ""), HasSubstr("certificate revoked"));
}

TEST(TlsDiagnosis, WhatTheControllerSaysOfOurs) {
  const auto alert = [](int number) { return ExplainTlsError(SSL_AD_REASON_OFFSET + number, true); };
  EXPECT_THAT(alert(SSL_AD_UNKNOWN_CA),
              HasSubstr("does not take the certificate in tls.crt: another authority"));
  EXPECT_THAT(alert(SSL_AD_CERTIFICATE_EXPIRED), HasSubstr("expired"));
  EXPECT_THAT(alert(SSL_AD_BAD_CERTIFICATE), HasSubstr("not be valid yet"));
  EXPECT_THAT(alert(SSL_AD_UNSUPPORTED_CERTIFICATE), HasSubstr("not one that who dials may show"));
  EXPECT_THAT(alert(SSL_AD_PROTOCOL_VERSION), HasSubstr("TLS 1.2"));
  EXPECT_THAT(ExplainTlsError(SSL_R_WRONG_VERSION_NUMBER, true), HasSubstr("does not speak TLS"));
}

TEST(TlsDiagnosis, RefusalWithoutAWordIsGuessedFromOurSide) {
  EXPECT_THAT(ExplainRefusal(X509_V_OK), AllOf(HasSubstr("another authority"), HasSubstr("not valid yet")));
  EXPECT_THAT(ExplainRefusal(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY),
              HasSubstr("another authority signed it"));
  EXPECT_THAT(ExplainRefusal(X509_V_ERR_INVALID_PURPOSE), HasSubstr("not one that who dials may show"));
}

TEST(TlsDiagnosis, NobodyThereIsNoNewsAboutTls) {
  EXPECT_THAT(Diagnose("127.0.0.1:1", Transport{}, absl::Seconds(2)), IsEmpty());
  EXPECT_THAT(Diagnose("127.0.0.1:1", Transport{.tls = "/nowhere"}, absl::Seconds(2)),
              HasSubstr("/nowhere/ca.crt"));
}

}  // namespace
}  // namespace trunkload

#include "common/tls/tls_errors.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/tls/certificate.h"

namespace trunkload {
namespace {

constexpr char kRefused[] = "the controller does not take the certificate in tls.crt: ";
constexpr char kOtherAuthority[] =
    "another authority signed it than those in the controller's ca.crt; have one issued by the controller's "
    "authority";
constexpr char kNotForDialling[] =
    "it is not one that who dials may show; have one issued with the role of an agent, operator or viewer";

}  // namespace

std::string ExplainVerifyError(int verify_error, int depth, const std::string& pem) {
  if (verify_error == X509_V_OK) return "";
  const absl::StatusOr<Certificate> certificate = Certificate::Parse(pem);
  const std::string whose = depth == 0 ? "the controller's certificate"
                                       : absl::StrCat("the certificate of the controller's authority",
                                                      certificate.ok() ? " " + certificate->name : "");
  switch (verify_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      if (const absl::Status time = certificate.ok() ? certificate->CheckTime(absl::Now()) : absl::OkStatus();
          !time.ok()) {
        return absl::StrCat(whose, " ", time.message(), ": issue a new one, or set the clock");
      }
      return absl::StrCat(whose, " is not valid now: issue a new one, or set the clock");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return absl::StrCat("the controller's certificate was signed by another authority",
                          certificate.ok() ? absl::StrCat(" (", certificate->issuer, ")") : "",
                          " than those in ca.crt: use the ca.crt of the authority that issued it");
    case X509_V_ERR_INVALID_PURPOSE:
      return absl::StrCat(whose, " is not one that a controller may show: issue one with --role controller");
    default:
      return absl::StrCat(whose, " is not taken: ", X509_verify_cert_error_string(verify_error));
  }
}

std::string ExplainTlsError(int reason, bool with_certificate) {
  switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_UNEXPECTED_MESSAGE:
      return "what listens there does not speak TLS: start the controller with --tls, or leave it out here";
    case SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_CA:
      return absl::StrCat(kRefused, kOtherAuthority);
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_EXPIRED:
      return absl::StrCat(kRefused, "by the controller's clock it has expired");
    case SSL_AD_REASON_OFFSET + SSL_AD_BAD_CERTIFICATE:
      return absl::StrCat(kRefused, "by the controller's clock it may not be valid yet, or it is damaged");
    case SSL_AD_REASON_OFFSET + SSL_AD_UNSUPPORTED_CERTIFICATE:
      return absl::StrCat(kRefused, kNotForDialling);
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_REASON_OFFSET + SSL_AD_DECRYPT_ERROR:
      return absl::StrCat(kRefused, "it does not say why");
    case SSL_AD_REASON_OFFSET + SSL_AD_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
      return "the other side speaks no TLS 1.2 or later";
    case SSL_AD_REASON_OFFSET + SSL_AD_HANDSHAKE_FAILURE:
      return with_certificate ? "the controller broke off the TLS handshake"
                              : "the controller broke off the TLS handshake; it may want a certificate";
    case SSL_AD_REASON_OFFSET + SSL_AD_INTERNAL_ERROR:
      return "the controller can't use its own certificate: look into the folder that its --tls names";
    default:
      return "";
  }
}

std::string ExplainRefusal(int own_error) {
  switch (own_error) {
    case X509_V_OK:
      return absl::StrCat(kRefused,
                          "it may be of another authority than those in the controller's ca.crt, or by the "
                          "controller's clock it has expired or is not valid yet");
    case X509_V_ERR_INVALID_PURPOSE:
      return absl::StrCat(kRefused, kNotForDialling);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return absl::StrCat(kRefused, kOtherAuthority);
    default:
      return absl::StrCat(kRefused, X509_verify_cert_error_string(own_error));
  }
}

}  // namespace trunkload

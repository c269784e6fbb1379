#pragma once

#include <string>

namespace trunkload {

// What Diagnose makes of OpenSSL's words. `verify_error`: X509_V_ERR_…, about the certificate `pem` in the
// peer's chain, `depth` above its own. Empty for X509_V_OK.
std::string ExplainVerifyError(int verify_error, int depth, const std::string& pem);
// `reason`: of the last of OpenSSL's errors, from its library for TLS. Empty where that is no news.
std::string ExplainTlsError(int reason, bool with_certificate);
// The controller does not take our certificate, and said no more. `own_error`: X509_V_ERR_…, what our own
// authorities have against it.
std::string ExplainRefusal(int own_error);

}  // namespace trunkload

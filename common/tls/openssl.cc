#include "common/tls/openssl.h"

#include <openssl/err.h>

namespace trunkload {

Openssl<BIO> ReadFrom(absl::string_view text) {
  return Openssl<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string TakeOpensslError() {
  const unsigned long error = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(error);
  ERR_clear_error();
  return reason == nullptr ? "OpenSSL does not say why" : reason;
}

}  // namespace trunkload

// A certificate as a peer shows it: in PEM or, where the bytes begin otherwise, in DER.
#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/tls/certificate.h"
#include "common/tls/controller_check.h"
#include "controller/access/permission.h"
#include "tests/fuzz/check.h"

namespace {

std::string PemOf(const std::string& bytes) {
  if (absl::StartsWith(bytes, "-----")) return bytes;
  std::string text = absl::Base64Escape(bytes);
  for (size_t at = 64; at < text.size(); at += 65) text.insert(at, "\n");
  return absl::StrCat("-----BEGIN CERTIFICATE-----\n", text, "\n-----END CERTIFICATE-----\n");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string pem = PemOf(std::string(reinterpret_cast<const char*>(data), size));
  const auto certificate = trunkload::Certificate::Parse(pem);
  const bool controller = trunkload::CheckController(pem, "load.example.com").ok();
  if (!certificate.ok()) {
    FUZZ_CHECK(!controller, pem);
    return 0;
  }
  const trunkload::Roles roles = certificate->roles();
  FUZZ_CHECK(!controller || roles.Has(trunkload::Role::kController), pem);
  const trunkload::Caller caller{true, certificate->name, roles};
  FUZZ_CHECK(
      trunkload::CheckPermission(caller, trunkload::Rpc::kRun).ok() == roles.Has(trunkload::Role::kOperator),
      certificate->name);
  for (const trunkload::Role role : trunkload::kRoles) {
    bool said = false;
    for (const std::string& organization : certificate->organizations)
      said = said || organization == trunkload::OrganizationOf(role);
    FUZZ_CHECK(roles.Has(role) == said, certificate->name);
  }
  certificate->CheckTime(absl::UnixEpoch()).IgnoreError();
  return 0;
}

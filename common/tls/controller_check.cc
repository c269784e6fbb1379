#include "common/tls/controller_check.h"

#include "absl/strings/str_cat.h"
#include "common/tls/certificate.h"

namespace trunkload {

absl::Status CheckController(absl::string_view pem, const std::string& server_name) {
  const absl::StatusOr<Certificate> certificate = Certificate::Parse(pem);
  if (!certificate.ok()) return absl::FailedPreconditionError("it shows no certificate");
  if (absl::Status status = CheckHost(pem, server_name); !status.ok()) return status;
  if (certificate->roles().Has(Role::kController)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("its certificate is that of ", certificate->name, " with ", certificate->roles().Text(),
                   ", not a controller's: issue one with --role controller"));
}

}  // namespace trunkload

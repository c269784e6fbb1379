#include "controller/cli/target_password.h"

#include <cstdlib>

#include "controller/plan/conninfo.h"
#include "controller/plan/plan_check.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

absl::Status KeepPasswordHere(std::string& conninfo, bool children) {
  if (absl::Status status = CheckConninfo(conninfo); !status.ok()) return status;
  const ConninfoSecrets secrets = SecretsOf(conninfo);
  if (!secrets.any()) return absl::OkStatus();
  if (!children) {
    v1::Plan plan;
    plan.mutable_target()->set_conninfo(conninfo);
    return CheckHoldsNoPassword(plan);
  }
  if (secrets.has_key_password) {
    return absl::InvalidArgumentError(
        "the target holds an sslpassword, for which libpq has no environment variable: take it out, and put "
        "it "
        "into a service file");
  }
  setenv("PGPASSWORD", secrets.password->c_str(), /*overwrite=*/1);
  conninfo = RedactedConninfo(conninfo);
  return absl::OkStatus();
}

}  // namespace trunkload

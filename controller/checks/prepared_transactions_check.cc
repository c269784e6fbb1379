#include "absl/strings/str_cat.h"
#include "controller/checks/checks.h"

namespace trunkload {

void SettlePreparedTransactions(const Aftermath& aftermath, v1::CheckResult& result) {
  if (!aftermath.citus) {
    result.set_outcome(v1::CheckResult::OUTCOME_NOT_APPLICABLE);
    result.set_verdict("without Citus there are no two-phase commits of its");
    return;
  }
  for (const Aftermath::Prepared& prepared : aftermath.prepared) {
    v1::Witness witness;
    witness.set_node(prepared.node);
    witness.set_at(prepared.at);
    witness.set_text(absl::StrCat(prepared.gid, " was prepared on ", prepared.node, " at ", prepared.at,
                                  ", and neither committed nor rolled back by the recovery"));
    CheckContext::AddViolation(std::move(witness), result);
  }
  result.set_verdict(aftermath.prepared_at_first == 0
                         ? "no two-phase commit was left behind"
                         : absl::StrCat("of ", aftermath.prepared_at_first,
                                        " two-phase commits that were left behind all were recovered"));
}

}  // namespace trunkload

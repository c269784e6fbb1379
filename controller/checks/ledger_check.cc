#include "controller/checks/checks.h"

namespace trunkload {

absl::Status SettleLedger(CheckContext& context, v1::CheckResult& result) {
  result.set_verdict("what was acknowledged is there once, what was refused is not");
  return context.AuditOperations(
      v1::BUILTIN_LEDGER_INSERT,
      {.noun = "insert",
       .table = "trunkload_ledger",
       .relation = "trunkload_ledger",
       .row_text = "'a row of ' || to_char(at AT TIME ZONE 'UTC', 'HH24:MI:SS.MS')",
       .key = "writer"},
      result);
}

}  // namespace trunkload

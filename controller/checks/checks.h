#pragma once

#include <string>

#include "absl/status/status.h"
#include "controller/checks/aftermath.h"
#include "controller/checks/check_context.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// How each check is settled, in the file of its name: docs/checks.md says what it proves. Counts,
// contradictions and witnesses go into the result, and a sentence on what was right; the outcome follows from
// them. An error: the database could not be asked.
absl::Status SettleBank(CheckContext& context, v1::CheckResult& result);
absl::Status SettleLedger(CheckContext& context, v1::CheckResult& result);
absl::Status SettleCounter(CheckContext& context, v1::CheckResult& result);
absl::Status SettleAppendList(CheckContext& context, v1::CheckResult& result);
absl::Status SettleReadYourWrites(CheckContext& context, v1::CheckResult& result);
absl::Status SettleReferenceTables(CheckContext& context, v1::CheckResult& result);
// Of what was found while the database came to rest.
void SettlePreparedTransactions(const Aftermath& aftermath, v1::CheckResult& result);

}  // namespace trunkload

#include "controller/operation_record.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace trunkload {

void OperationRecord::Add(const Merger& merger) {
  scripts_.resize(merger.scripts().size());
  for (size_t i = 0; i < scripts_.size(); ++i) {
    scripts_[i].ledger.Merge(merger.scripts()[i].ledger);
    MergeFindings(merger.scripts()[i].findings, scripts_[i].findings);
  }
  for (const auto& [id, agent] : merger.agents()) {
    if (!agent.ended || agent.missing_intervals > 0) incomplete_ = true;
  }
}

v1::CheckRecord OperationRecord::ToProto(const v1::Plan& plan) const {
  v1::CheckRecord record;
  for (size_t i = 0; i < scripts_.size(); ++i) {
    if (!plan.scripts(static_cast<int>(i)).recorded()) continue;
    v1::CheckRecord::Script& script = *record.add_scripts();
    script.set_name(plan.scripts(static_cast<int>(i)).name());
    *script.mutable_ledger() = scripts_[i].ledger.ToProto();
    *script.mutable_findings() = scripts_[i].findings;
  }
  record.set_incomplete(incomplete_);
  return record;
}

absl::StatusOr<OperationRecord> OperationRecord::FromProto(const v1::Plan& plan,
                                                           const v1::CheckRecord& record) {
  OperationRecord operations;
  operations.incomplete_ = record.incomplete();
  operations.scripts_.resize(static_cast<size_t>(plan.scripts_size()));
  for (const v1::CheckRecord::Script& script : record.scripts()) {
    const auto found = std::find_if(
        plan.scripts().begin(), plan.scripts().end(),
        [&script](const v1::Script& one) { return one.recorded() && one.name() == script.name(); });
    if (found == plan.scripts().end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the run had a script ", script.name(), ", which the plan does not check"));
    }
    if (absl::Status status = Ledger::Check(script.ledger()); !status.ok()) return status;
    if (absl::Status status = CheckFindings(script.findings()); !status.ok()) return status;
    Script& into = operations.scripts_[static_cast<size_t>(found - plan.scripts().begin())];
    into.ledger.Merge(script.ledger());
    MergeFindings(script.findings(), into.findings);
  }
  return operations;
}

}  // namespace trunkload

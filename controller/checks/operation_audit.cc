#include "controller/checks/operation_audit.h"

#include <set>
#include <utility>

namespace trunkload {
namespace {

void Put(uint64_t writer, RangeSet set, OperationAudit::Operations& operations) {
  if (!set.empty()) operations.emplace(writer, std::move(set));
}

}  // namespace

uint64_t OperationAudit::Count(const Operations& operations) {
  uint64_t count = 0;
  for (const auto& [writer, set] : operations) count += set.size();
  return count;
}

OperationAudit Audit(const Ledger& ledger, const std::map<uint64_t, FoundOperations>& found) {
  static const Ledger::Writer* const kNothingTold = new Ledger::Writer();
  static const FoundOperations* const kNothingFound = new FoundOperations();
  const std::map<uint64_t, const Ledger::Writer*> told = ledger.writers();
  std::set<uint64_t> writers;
  for (const auto& [writer, operations] : told) writers.insert(writer);
  for (const auto& [writer, operations] : found) writers.insert(writer);
  OperationAudit audit;
  for (const uint64_t writer : writers) {
    const auto of_ledger = told.find(writer);
    const auto of_table = found.find(writer);
    const Ledger::Writer& said = of_ledger == told.end() ? *kNothingTold : *of_ledger->second;
    const FoundOperations& has = of_table == found.end() ? *kNothingFound : of_table->second;
    Put(writer, said.ended.Minus(said.refused).Minus(said.lost).Minus(has.there), audit.missing);
    // One that is refused and there in part is a ghost, too; it counts once.
    const RangeSet ghosts = said.refused.And(has.there);
    Put(writer, has.broken.Minus(ghosts), audit.broken);
    Put(writer, ghosts, audit.ghosts);
    Put(writer, has.there.Minus(said.ended).Minus(has.broken), audit.untold);
    audit.lost_committed += said.lost.And(has.there).Minus(has.broken).size();
  }
  return audit;
}

}  // namespace trunkload

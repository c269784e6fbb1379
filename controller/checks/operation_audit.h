#pragma once

#include <cstdint>
#include <map>

#include "common/ledger.h"
#include "common/range_set.h"

namespace trunkload {

// What a table has of a writer's operations.
struct FoundOperations {
  RangeSet there;
  // Of those, the ones that are there in part, or more than once.
  RangeSet broken;
};

// A ledger held against what the database has. Each set is of one writer, under its number; those without
// such operations are left out.
struct OperationAudit {
  using Operations = std::map<uint64_t, RangeSet>;

  Operations missing;           // acknowledged, and not there
  Operations ghosts;            // refused or rolled back, and there
  Operations broken;            // there in part, or more than once
  Operations untold;            // there, and the ledger does not have them
  uint64_t lost_committed = 0;  // of those whose answer was lost, there and whole

  static uint64_t Count(const Operations& operations);
};

OperationAudit Audit(const Ledger& ledger, const std::map<uint64_t, FoundOperations>& found);

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace trunkload {

// What a statement gets for an answer from WireServer, which reads no further than it needs to make one up:
// an INSERT is told as many rows as it has groups of values, a SELECT of a number gives that number, one with
// parameters gives a single 1, any other gives no row.
struct WireAnswer {
  std::string tag;         // of CommandComplete, as in "INSERT 0 100"
  uint64_t rows = 0;       // written
  bool selects = false;    // has a result of one column
  std::string value;       // of that result's single row; empty: no row
  bool copies_in = false;  // COPY FROM STDIN
  char status = 0;         // of the transaction from then on: 'T' begun, 'I' ended, 0 as it was
  bool load = false;       // writes, or has parameters: the kind that is counted, and chosen to fail
  int parameters = 0;      // the highest of $1, $2 …
};

inline constexpr char kServerVersion[] = "15.0";

WireAnswer AnswerTo(absl::string_view sql);

// Takes the first statement of several off the front of `sql`; empty where only blanks are left.
absl::string_view TakeStatement(absl::string_view& sql);

}  // namespace trunkload

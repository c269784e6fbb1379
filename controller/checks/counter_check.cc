#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "controller/checks/checks.h"

namespace trunkload {

// Each increment notes the value that it made: the values of a counter are 1 to what it is now, each once.
absl::Status SettleCounter(CheckContext& context, v1::CheckResult& result) {
  absl::Status status = context.AuditOperations(v1::BUILTIN_COUNTER_INCREMENT,
                                                {.noun = "increment",
                                                 .table = "trunkload_increments",
                                                 .relation = "trunkload_increments",
                                                 .row_text = "format('counter %s became %s', counter, value)",
                                                 .key = "counter"},
                                                result);
  if (!status.ok()) return status;
  status = context.AddRows(
      "SELECT counter, value, count(*), string_agg(format('%s of writer %s', operation, writer), ' and ') "
      "FROM trunkload_increments GROUP BY counter, value HAVING count(*) > 1",
      "trunkload_increments",
      [](const std::vector<absl::string_view>& values) {
        return absl::StrCat("counter ", values[0], " was made ", values[1], " by ", values[2],
                            " increments, of which all but one are lost: ", values[3]);
      },
      result);
  if (!status.ok()) return status;
  status = context.AddRows(
      "SELECT c.counter, c.value, count(i.counter), coalesce(max(i.value), 0) FROM trunkload_counters c LEFT "
      "JOIN trunkload_increments i ON i.counter = c.counter GROUP BY c.counter, c.value "
      "HAVING c.value <> count(i.counter) OR c.value <> coalesce(max(i.value), 0)",
      "trunkload_counters",
      [](const std::vector<absl::string_view>& values) {
        return absl::StrCat("counter ", values[0], " is ", values[1], ", and has ", values[2],
                            " increments, the highest to ", values[3]);
      },
      result);
  if (!status.ok()) return status;
  const absl::StatusOr<std::string> counters = context.ReadValue("SELECT count(*) FROM trunkload_counters");
  if (!counters.ok()) return counters.status();
  if (*counters != absl::StrCat(context.options().counters())) {
    v1::Witness witness;
    witness.set_table("trunkload_counters");
    witness.set_text(absl::StrCat("the number of counters is ", *counters, ", where ",
                                  context.options().counters(), " was to be"));
    CheckContext::AddViolation(std::move(witness), result);
  }
  result.set_verdict("each increment made a value of its own, and counters are what their increments made");
  return absl::OkStatus();
}

}  // namespace trunkload

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "controller/checks/checks.h"

namespace trunkload {
namespace {

// `item`: WRITER.OPERATION.
bool WasLost(const Ledger& ledger, absl::string_view item) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(item, '.');
  int64_t writer = 0;
  uint64_t operation = 0;
  if (!absl::SimpleAtoi(parts.first, &writer) || !absl::SimpleAtoi(parts.second, &operation)) return false;
  return ledger.IsLost(static_cast<uint64_t>(writer), operation);
}

}  // namespace

absl::Status SettleAppendList(CheckContext& context, v1::CheckResult& result) {
  absl::Status status = context.AuditOperations(
      v1::BUILTIN_LIST_APPEND,
      {.noun = "append",
       .table = "trunkload_lists",
       .relation = "(SELECT list, position, split_part(item, '.', 1)::bigint AS writer, split_part(item, "
                   "'.', 2)::bigint "
                   "AS operation FROM trunkload_lists, unnest(items) WITH ORDINALITY AS i (item, position))",
       .row_text = "format('at %s of list %s', position, list)",
       .key = "list",
       .at = ""},
      result);
  if (!status.ok()) return status;
  // A writer appends one after the other. One that it gave up may be carried out after the next.
  const OperationRecord::Script* const script = context.Of(v1::BUILTIN_LIST_APPEND);
  status = context.AddRows(
      "SELECT list, position, item, before FROM (SELECT list, position, item, "
      "lag(item) OVER of_writer AS before, split_part(item, '.', 2)::bigint AS operation, "
      "lag(split_part(item, '.', 2)::bigint) OVER of_writer AS operation_before "
      "FROM trunkload_lists, unnest(items) WITH ORDINALITY AS i (item, position) "
      "WINDOW of_writer AS (PARTITION BY list, split_part(item, '.', 1) ORDER BY position)) o "
      "WHERE operation < operation_before",
      "trunkload_lists",
      [script](const std::vector<absl::string_view>& values) {
        return script != nullptr && WasLost(script->ledger, values[2])
                   ? ""
                   : absl::StrCat("list ", values[0], " has ", values[2], " at ", values[1], ", behind ",
                                  values[3], ", which its writer appended later");
      },
      result);
  if (!status.ok()) return status;
  context.AddFindings(v1::BUILTIN_LIST_APPEND, "the hash of the beginning of list", /*expected=*/false,
                      result);
  result.set_verdict(
      "what was appended is there once and in its order, and lists still begin as they were read");
  return absl::OkStatus();
}

}  // namespace trunkload

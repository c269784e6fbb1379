#include "controller/checks/check_context.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

std::string WhereIs(const v1::Witness& witness) {
  return absl::StrCat(" WHERE writer = ", static_cast<int64_t>(witness.writer()),
                      " AND operation = ", static_cast<int64_t>(witness.operation()));
}

// As RFC 3339, in UTC.
std::string TimeText(const std::string& sql) {
  return absl::StrCat("to_char(", sql, " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')");
}

}  // namespace

const OperationRecord::Script* CheckContext::Of(v1::Builtin builtin) const {
  for (int i = 0; i < plan_.scripts_size(); ++i) {
    if (plan_.scripts(i).builtin() == builtin && static_cast<size_t>(i) < operations_.scripts().size())
      return &operations_.scripts()[static_cast<size_t>(i)];
  }
  return nullptr;
}

// Sixty-four operations a row.
absl::StatusOr<std::map<uint64_t, FoundOperations>> CheckContext::ReadOperations(const Place& place) {
  std::map<uint64_t, FoundOperations> found;
  // An hour of a fast load may be more than Citus lets a query hold at once.
  const std::string unlimited =
      distributed_ ? "BEGIN; SET LOCAL citus.max_intermediate_result_size = -1; " : "";
  const absl::Status status = ReadRows(
      absl::StrCat(
          unlimited,
          "SELECT writer, operation / 64, bit_or(bit), bit_or(CASE WHEN whole THEN 0 ELSE bit END) FROM "
          "(SELECT writer, operation, 1::bigint << (operation % 64)::int AS bit, ",
          place.whole, " AS whole FROM ", place.relation,
          " o WHERE writer >= 0 AND operation > 0 GROUP BY writer, operation) o "
          "GROUP BY 1, 2 ORDER BY 1, 2",
          distributed_ ? "; COMMIT" : ""),
      [&found](const std::vector<absl::string_view>& values) {
        uint64_t writer = 0;
        uint64_t block = 0;
        int64_t there = 0;
        int64_t broken = 0;
        // Of bigints, they all can.
        if (!absl::SimpleAtoi(values[0], &writer) || !absl::SimpleAtoi(values[1], &block) ||
            !absl::SimpleAtoi(values[2], &there) || !absl::SimpleAtoi(values[3], &broken))
          return;
        FoundOperations& of = found[writer];
        of.there.AddBlock(block, static_cast<uint64_t>(there));
        of.broken.AddBlock(block, static_cast<uint64_t>(broken));
      });
  if (!status.ok()) return status;
  return found;
}

absl::Status CheckContext::AuditOperations(v1::Builtin builtin, const Place& place, v1::CheckResult& result) {
  static const Ledger* const kNothing = new Ledger();
  const OperationRecord::Script* const script = Of(builtin);
  const Ledger& ledger = script == nullptr ? *kNothing : script->ledger;
  const absl::StatusOr<std::map<uint64_t, FoundOperations>> found = ReadOperations(place);
  if (!found.ok()) return found.status();
  const OperationAudit audit = Audit(ledger, *found);
  AddCounts(ledger, result);
  result.set_lost_committed(result.lost_committed() + audit.lost_committed);
  absl::Status status = AddCases(audit.missing, place, "was acknowledged, and is not there", false, result);
  if (status.ok())
    status = AddCases(audit.ghosts, place, "was refused or rolled back, and is there", true, result);
  if (status.ok())
    status = AddCases(audit.broken, place, "is there in part, or more than once", true, result);
  if (complete()) {
    if (status.ok()) status = AddCases(audit.untold, place, "is there, and nobody has sent it", true, result);
  } else {
    result.set_untold(result.untold() + OperationAudit::Count(audit.untold));
  }
  return status;
}

absl::Status CheckContext::AddCases(const OperationAudit::Operations& operations, const Place& place,
                                    const std::string& text, bool there, v1::CheckResult& result) {
  // A few of each kind are looked up.
  constexpr int kMostOfAKind = 3;
  result.set_violations(result.violations() + OperationAudit::Count(operations));
  int shown = 0;
  for (const auto& [writer, set] : operations) {
    for (const RangeSet::Range& range : set.ranges()) {
      for (uint64_t operation = range.first; operation <= range.last; ++operation) {
        if (shown++ == kMostOfAKind || result.witnesses_size() >= kMostWitnesses) return absl::OkStatus();
        v1::Witness& witness = *result.add_witnesses();
        witness.set_writer(writer);
        witness.set_operation(operation);
        witness.set_table(place.table);
        witness.set_text(absl::StrCat(place.noun, " ", operation, " of writer ", writer, " ", text));
        if (absl::Status status = Describe(place, there, witness); !status.ok()) return status;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckContext::Describe(const Place& place, bool there, v1::Witness& witness) {
  std::string said;
  std::string at;
  std::string key;
  const auto take = [&](const std::vector<absl::string_view>& values) {
    said = std::string(values[0]);
    at = std::string(values[1]);
    key = std::string(values[2]);
  };
  if (there) {
    const absl::Status status =
        ReadRows(absl::StrCat("SELECT string_agg(", place.row_text, ", '; '), ",
                              place.at.empty() ? "''" : TimeText(absl::StrCat("min(", place.at, ")")),
                              ", min(", place.key, ") FROM ", place.relation, " o", WhereIs(witness)),
                 take);
    if (!status.ok()) return status;
    witness.set_text(absl::StrCat(witness.text(), ": ", said));
    witness.set_at(at);
    int64_t number = 0;
    if (absl::SimpleAtoi(key, &number)) {
      witness.set_key(number);
      witness.set_node(NodeOf(place.table, number));
    }
    return absl::OkStatus();
  }
  if (place.at.empty()) return absl::OkStatus();
  // A writer sends one after the other: it was between its neighbours.
  const absl::Status status = ReadRows(
      absl::StrCat(
          "SELECT ",
          TimeText(absl::StrCat("max(", place.at, ") FILTER (WHERE operation < ", witness.operation(), ")")),
          ", ",
          TimeText(absl::StrCat("min(", place.at, ") FILTER (WHERE operation > ", witness.operation(), ")")),
          ", '' FROM ", place.relation, " o WHERE writer = ", static_cast<int64_t>(witness.writer())),
      take);
  if (!status.ok()) return status;
  witness.set_at(said.empty() ? at : said);
  if (!said.empty() || !at.empty()) {
    witness.set_text(absl::StrCat(witness.text(), ": its writer's one before is of ",
                                  said.empty() ? "no time" : said, ", the one after of ",
                                  at.empty() ? "no time" : at));
  }
  return absl::OkStatus();
}

void CheckContext::AddFindings(v1::Builtin builtin, const std::string& what, bool expected,
                               v1::CheckResult& result) const {
  const OperationRecord::Script* const script = Of(builtin);
  if (script == nullptr) return;
  const v1::Findings& findings = script->findings;
  result.set_looks(result.looks() + findings.looks());
  result.set_deviating(result.deviating() + findings.deviating());
  if (std::abs(findings.largest()) > std::abs(result.largest_deviation()))
    result.set_largest_deviation(findings.largest());
  if (!expected) result.set_violations(result.violations() + findings.deviating());
  // Beside real contradictions they would only mislead.
  if (expected && result.violations() > 0) return;
  int shown = 0;
  for (const v1::Finding& finding : findings.first()) {
    if (shown++ == 3 || result.witnesses_size() >= kMostWitnesses) break;
    v1::Witness& witness = *result.add_witnesses();
    witness.set_writer(finding.writer());
    witness.set_operation(finding.operation());
    const bool known = finding.phase() < static_cast<uint32_t>(plan_.phases_size());
    witness.set_text(
        absl::StrCat("writer ", finding.writer(), " read ", finding.seen(), " as ", what,
                     finding.key() == 0 ? "" : absl::StrCat(" of ", finding.key()), ", where ",
                     finding.expected(), " was to be",
                     known ? absl::StrCat(", ", static_cast<double>(finding.at_us()) / 1e6, " s into phase ",
                                          plan_.phases(static_cast<int>(finding.phase())).name())
                           : ""));
    if (finding.key() != 0) witness.set_key(finding.key());
  }
}

void CheckContext::AddViolation(v1::Witness witness, v1::CheckResult& result) {
  result.set_violations(result.violations() + 1);
  if (result.witnesses_size() < kMostWitnesses) *result.add_witnesses() = std::move(witness);
}

absl::Status CheckContext::AddRows(
    const std::string& sql, const std::string& table,
    absl::FunctionRef<std::string(const std::vector<absl::string_view>& row)> text_of,
    v1::CheckResult& result) {
  const int before = result.witnesses_size();
  const absl::Status status = ReadRows(sql, [&](const std::vector<absl::string_view>& row) {
    std::string text = text_of(row);
    if (text.empty()) return;
    v1::Witness witness;
    witness.set_table(table);
    witness.set_text(std::move(text));
    int64_t key = 0;
    if (absl::SimpleAtoi(row[0], &key)) witness.set_key(key);
    AddViolation(std::move(witness), result);
  });
  if (!status.ok()) return status;
  for (int i = before; i < result.witnesses_size(); ++i) {
    v1::Witness& witness = *result.mutable_witnesses(i);
    witness.set_node(NodeOf(table, witness.key()));
  }
  return absl::OkStatus();
}

void CheckContext::AddCounts(const Ledger& ledger, v1::CheckResult& result) {
  result.set_acknowledged(result.acknowledged() + ledger.acknowledged());
  result.set_refused(result.refused() + ledger.refused());
  result.set_lost_answers(result.lost_answers() + ledger.lost());
}

std::string CheckContext::NodeOf(const std::string& table, int64_t key) {
  if (!distributed_) return "";
  const absl::StatusOr<std::string> node = ReadValue(absl::StrCat(
      "SELECT n.nodename || ':' || n.nodeport FROM pg_dist_placement p JOIN pg_dist_node n USING (groupid) "
      "WHERE n.noderole = 'primary' AND p.shardid = get_shard_id_for_distribution_column('",
      table, "', ", key, ")"));
  return node.ok() ? *node : "";
}

}  // namespace trunkload

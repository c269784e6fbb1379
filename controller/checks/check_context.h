#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controller/checks/operation_audit.h"
#include "controller/database.h"
#include "controller/operation_record.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What each check is settled with, and what they have in common. Questions to the database block, and end in
// time. Not thread-safe.
class CheckContext {
 public:
  // All must outlive it. `distributed`: the checks' tables are, by Citus.
  CheckContext(Database& database, const v1::Plan& plan, const OperationRecord& operations, bool distributed)
      : database_(database), plan_(plan), operations_(operations), distributed_(distributed) {}

  const v1::CheckOptions& options() const { return plan_.check_options(); }
  bool distributed() const { return distributed_; }
  bool complete() const { return !operations_.incomplete(); }
  // None where the plan does not have the script.
  const OperationRecord::Script* Of(v1::Builtin builtin) const;

  absl::Status ReadRows(const std::string& sql, Database::OnRow on_row) {
    return database_.ReadRows("settle a check", sql, on_row, kTimeout);
  }
  absl::StatusOr<std::string> ReadValue(const std::string& sql) {
    return database_.ReadValue("settle a check", sql, kTimeout);
  }

  // Where a script's operations are.
  struct Place {
    // What one is called: "transfer".
    std::string noun;
    std::string table;
    // Rows with the columns writer and operation: the table, or a query of it.
    std::string relation;
    // Whether the rows of one operation are all that it leaves, as an aggregate over them.
    std::string whole = "count(*) = 1";
    // One row in words, and its key as the table is distributed, in SQL.
    std::string row_text;
    std::string key;
    // When, in SQL; empty: that is not known.
    std::string at = "at";
  };
  // Holds the script's ledger against the table: counts, contradictions and witnesses go into the result.
  absl::Status AuditOperations(v1::Builtin builtin, const Place& place, v1::CheckResult& result);
  // What a script saw that it ought not to have: `what` says what was read, `expected` whether that is no
  // failure.
  void AddFindings(v1::Builtin builtin, const std::string& what, bool expected,
                   v1::CheckResult& result) const;

  // One more contradiction; the first ones are kept.
  static void AddViolation(v1::Witness witness, v1::CheckResult& result);
  // A contradiction for each row of a query that `text_of` has a text for. The first column is the key, by
  // which `table` is distributed.
  absl::Status AddRows(const std::string& sql, const std::string& table,
                       absl::FunctionRef<std::string(const std::vector<absl::string_view>& row)> text_of,
                       v1::CheckResult& result);
  // How the operations of a script ended, by its ledger.
  static void AddCounts(const Ledger& ledger, v1::CheckResult& result);
  static constexpr int kMostWitnesses = 10;
  // HOST:PORT of the node that has the row; empty where that is not known, or there is only one.
  std::string NodeOf(const std::string& table, int64_t key);

 private:
  // For a table of an hour's operations.
  static constexpr absl::Duration kTimeout = absl::Minutes(10);

  absl::StatusOr<std::map<uint64_t, FoundOperations>> ReadOperations(const Place& place);
  absl::Status AddCases(const OperationAudit::Operations& operations, const Place& place,
                        const std::string& text, bool there, v1::CheckResult& result);
  absl::Status Describe(const Place& place, bool there, v1::Witness& witness);

  Database& database_;
  const v1::Plan& plan_;
  const OperationRecord& operations_;
  const bool distributed_;
};

}  // namespace trunkload

#include <cstdlib>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "controller/checks/checks.h"
#include "controller/plan/check_scripts.h"

namespace trunkload {
namespace {

CheckContext::Place Transfers(const CheckContext& context, bool inside) {
  return {.noun = inside ? "transfer inside a branch" : "transfer",
          .table = "trunkload_entries",
          .relation = absl::StrCat("(SELECT * FROM trunkload_entries WHERE branch ",
                                   inside ? "> " : "<= ", context.options().branches(), ")"),
          .whole = "count(*) = 2 AND sum(amount) = 0",
          .row_text = "format('%s at account %s of branch %s', amount, account, branch)",
          .key = "branch"};
}

// Each account's balance is what it began with and what its entries say; both are on one shard.
absl::Status CompareBalances(CheckContext& context, v1::CheckResult& result) {
  return context.AddRows(
      absl::StrCat(
          "SELECT a.branch, a.account, a.balance, ", kFirstBalance,
          " + coalesce(sum(e.amount), 0) AS booked FROM trunkload_accounts a LEFT JOIN trunkload_entries e "
          "ON e.branch = a.branch AND e.account = a.account GROUP BY a.branch, a.account, a.balance "
          "HAVING a.balance <> ",
          kFirstBalance, " + coalesce(sum(e.amount), 0)"),
      "trunkload_accounts",
      [](const std::vector<absl::string_view>& values) {
        return absl::StrCat("account ", values[1], " of branch ", values[0], " holds ", values[2],
                            ", and its entries say ", values[3]);
      },
      result);
}

absl::Status CompareTotals(CheckContext& context, v1::CheckResult& result, std::string& total) {
  const uint64_t branches = context.options().branches();
  const uint64_t accounts = context.options().accounts();
  const auto compare = [&result](const std::string& what, absl::string_view is, uint64_t ought) {
    if (is == absl::StrCat(ought)) return;
    v1::Witness witness;
    witness.set_table("trunkload_accounts");
    witness.set_text(
        absl::StrCat(what, " is ", is.empty() ? "nothing" : is, ", where ", ought, " was to be"));
    CheckContext::AddViolation(std::move(witness), result);
  };
  const absl::StatusOr<std::string> rows = context.ReadValue("SELECT count(*) FROM trunkload_accounts");
  if (!rows.ok()) return rows.status();
  compare("the number of accounts", *rows, 2 * branches * accounts);
  const absl::StatusOr<std::string> sum = context.ReadValue(
      absl::StrCat("SELECT sum(balance) FROM trunkload_accounts WHERE branch <= ", branches));
  if (!sum.ok()) return sum.status();
  total = *sum;
  compare(absl::StrCat("the total of branches 1 to ", branches), *sum, branches * accounts * kFirstBalance);
  return context.ReadRows(
      absl::StrCat("SELECT branch, sum(balance) FROM trunkload_accounts WHERE branch > ", branches,
                   " GROUP BY branch HAVING sum(balance) <> ", accounts * kFirstBalance),
      [&](const std::vector<absl::string_view>& values) {
        compare(absl::StrCat("the total of branch ", values[0]), values[1], accounts * kFirstBalance);
      });
}

}  // namespace

absl::Status SettleBank(CheckContext& context, v1::CheckResult& result) {
  absl::Status status = context.AuditOperations(v1::BUILTIN_BANK_TRANSFER, Transfers(context, false), result);
  if (status.ok())
    status = context.AuditOperations(v1::BUILTIN_BANK_BRANCH_TRANSFER, Transfers(context, true), result);
  if (status.ok()) status = CompareBalances(context, result);
  std::string total;
  if (status.ok()) status = CompareTotals(context, result, total);
  if (!status.ok()) return status;
  context.AddFindings(v1::BUILTIN_BANK_BRANCH_TOTAL, "the total of a branch", /*expected=*/false, result);
  // Over shards, Citus shows no one moment.
  context.AddFindings(v1::BUILTIN_BANK_TOTAL, "the total", /*expected=*/context.distributed(), result);
  result.set_verdict(
      absl::StrCat("transfers are whole, accounts are what their entries say, the total is ", total));
  const OperationRecord::Script* const totals = context.Of(v1::BUILTIN_BANK_TOTAL);
  const uint64_t over_shards = totals == nullptr ? 0 : totals->findings.deviating();
  if (context.distributed() && over_shards > 0 && result.violations() == 0) {
    result.set_outcome(v1::CheckResult::OUTCOME_EXPECTED);
    result.set_verdict(absl::StrCat(
        result.verdict(), "; ", over_shards, " totals that were read over shards in between were off, by ",
        std::abs(totals->findings.largest()), " at most: Citus shows no one moment of all shards"));
  }
  return absl::OkStatus();
}

}  // namespace trunkload

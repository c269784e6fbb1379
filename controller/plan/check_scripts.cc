#include "controller/plan/check_scripts.h"

namespace trunkload {
namespace {

constexpr char kBankTransfer[] =
    R"(-- Money moves from an account of one branch to one of another, and each account keeps an entry of it.
\set trunkload_branch random(1, :trunkload_branches)
\set trunkload_other 1 + (:trunkload_branch - 1 + random(1, :trunkload_branches - 1)) % :trunkload_branches
\set trunkload_account random(1, :trunkload_accounts)
\set trunkload_other_account random(1, :trunkload_accounts)
\set trunkload_amount random(1, 100)
\set trunkload_debit -:trunkload_amount
BEGIN;
UPDATE trunkload_accounts SET balance = balance + :trunkload_debit WHERE branch = :trunkload_branch AND account = :trunkload_account;
INSERT INTO trunkload_entries (branch, account, amount, writer, operation) VALUES (:trunkload_branch, :trunkload_account, :trunkload_debit, :trunkload_writer, :trunkload_operation);
UPDATE trunkload_accounts SET balance = balance + :trunkload_amount WHERE branch = :trunkload_other AND account = :trunkload_other_account;
INSERT INTO trunkload_entries (branch, account, amount, writer, operation) VALUES (:trunkload_other, :trunkload_other_account, :trunkload_amount, :trunkload_writer, :trunkload_operation);
END;
)";

constexpr char kBankBranchTransfer[] =
    R"(-- The same inside one branch, of those that take no part in the other transfers: on Citus, on one shard.
\set trunkload_branch :trunkload_branches + random(1, :trunkload_branches)
\set trunkload_account random(1, :trunkload_accounts)
\set trunkload_other_account 1 + (:trunkload_account - 1 + random(1, :trunkload_accounts - 1)) % :trunkload_accounts
\set trunkload_amount random(1, 100)
\set trunkload_debit -:trunkload_amount
BEGIN;
UPDATE trunkload_accounts SET balance = balance + :trunkload_debit WHERE branch = :trunkload_branch AND account = :trunkload_account;
INSERT INTO trunkload_entries (branch, account, amount, writer, operation) VALUES (:trunkload_branch, :trunkload_account, :trunkload_debit, :trunkload_writer, :trunkload_operation);
UPDATE trunkload_accounts SET balance = balance + :trunkload_amount WHERE branch = :trunkload_branch AND account = :trunkload_other_account;
INSERT INTO trunkload_entries (branch, account, amount, writer, operation) VALUES (:trunkload_branch, :trunkload_other_account, :trunkload_amount, :trunkload_writer, :trunkload_operation);
END;
)";

constexpr char kBankTotal[] = R"(-- Transfers between branches leave their total as it is.
\set trunkload_expected :trunkload_branches * :trunkload_accounts * 1000
SELECT sum(balance) AS seen FROM trunkload_accounts WHERE branch <= :trunkload_branches \gset trunkload_
)";

constexpr char kBankBranchTotal[] = R"(-- Transfers inside a branch leave its total as it is.
\set trunkload_key :trunkload_branches + random(1, :trunkload_branches)
\set trunkload_expected :trunkload_accounts * 1000
SELECT sum(balance) AS seen FROM trunkload_accounts WHERE branch = :trunkload_key \gset trunkload_
)";

constexpr char kLedgerInsert[] =
    "INSERT INTO trunkload_ledger (writer, operation) VALUES (:trunkload_writer, :trunkload_operation);\n";

constexpr char kCounterIncrement[] =
    R"(-- Reads, adds one, and writes back, under the row's lock.
\set trunkload_counter random(1, :trunkload_counters)
BEGIN;
SELECT value + 1 AS value FROM trunkload_counters WHERE counter = :trunkload_counter FOR UPDATE \gset trunkload_
UPDATE trunkload_counters SET value = :trunkload_value WHERE counter = :trunkload_counter;
INSERT INTO trunkload_increments (counter, value, writer, operation) VALUES (:trunkload_counter, :trunkload_value, :trunkload_writer, :trunkload_operation);
END;
)";

// What a client keeps in mind is of one append in ten: had it only the last one, a change that its next
// append waited for would be in what it remembers. Until the first, the variables are not there yet: NULL
// then, and so is what is expected.
constexpr char kListAppend[] =
    R"(-- A list that this client has appended to must still begin as it did then; then it appends to another.
SELECT coalesce(max(hash_array(items[1 : :trunkload_kept_length])), 0) AS seen, :trunkload_kept_hash::int AS expected, :trunkload_kept_list::bigint AS key FROM trunkload_lists WHERE list = :trunkload_kept_list \gset trunkload_
\set trunkload_next random(1, :trunkload_lists) + :trunkload_lists * (:trunkload_operation / 50)
INSERT INTO trunkload_lists (list, items) VALUES (:trunkload_next, ARRAY[:trunkload_writer::text || '.' || :trunkload_operation::text]) ON CONFLICT (list) DO UPDATE SET items = trunkload_lists.items || excluded.items RETURNING list, cardinality(items) AS length, hash_array(items) AS hash \gset trunkload_
\if :trunkload_operation % 10 = 1
\set trunkload_kept_list :trunkload_list
\set trunkload_kept_length :trunkload_length
\set trunkload_kept_hash :trunkload_hash
\endif
)";

// A write that was given up may be carried out after its writer's next one.
constexpr char kRegisterWrite[] = R"(-- What was written has to be read.
\set trunkload_key :trunkload_writer
\set trunkload_expected :trunkload_operation
INSERT INTO trunkload_registers (register, value) VALUES (:trunkload_writer, :trunkload_operation) ON CONFLICT (register) DO UPDATE SET value = greatest(trunkload_registers.value, excluded.value);
SELECT coalesce(max(value), 0) AS seen FROM trunkload_registers WHERE register = :trunkload_writer \gset trunkload_
)";

constexpr char kRateUpdate[] = R"(-- On Citus, of each node's copy.
\set trunkload_rate random(1, :trunkload_rates)
UPDATE trunkload_rates SET value = value + 1 WHERE rate = :trunkload_rate;
)";

struct CheckScript {
  v1::Builtin builtin;
  v1::Check check;
  const char* text;
};
constexpr CheckScript kScripts[] = {
    {v1::BUILTIN_BANK_TRANSFER, v1::CHECK_BANK, kBankTransfer},
    {v1::BUILTIN_BANK_BRANCH_TRANSFER, v1::CHECK_BANK, kBankBranchTransfer},
    {v1::BUILTIN_BANK_TOTAL, v1::CHECK_BANK, kBankTotal},
    {v1::BUILTIN_BANK_BRANCH_TOTAL, v1::CHECK_BANK, kBankBranchTotal},
    {v1::BUILTIN_LEDGER_INSERT, v1::CHECK_LEDGER, kLedgerInsert},
    {v1::BUILTIN_COUNTER_INCREMENT, v1::CHECK_COUNTER, kCounterIncrement},
    {v1::BUILTIN_LIST_APPEND, v1::CHECK_APPEND_LIST, kListAppend},
    {v1::BUILTIN_REGISTER_WRITE, v1::CHECK_READ_YOUR_WRITES, kRegisterWrite},
    {v1::BUILTIN_RATE_UPDATE, v1::CHECK_REFERENCE_TABLES, kRateUpdate},
};

const CheckScript* Find(v1::Builtin builtin) {
  for (const CheckScript& script : kScripts) {
    if (script.builtin == builtin) return &script;
  }
  return nullptr;
}

}  // namespace

absl::string_view CheckScriptText(v1::Builtin builtin) {
  const CheckScript* const script = Find(builtin);
  return script == nullptr ? "" : script->text;
}

v1::Check CheckOf(v1::Builtin builtin) {
  const CheckScript* const script = Find(builtin);
  return script == nullptr ? v1::CHECK_UNSPECIFIED : script->check;
}

std::vector<v1::Builtin> ScriptsOf(v1::Check check) {
  std::vector<v1::Builtin> builtins;
  for (const CheckScript& script : kScripts) {
    if (script.check == check) builtins.push_back(script.builtin);
  }
  return builtins;
}

std::vector<std::pair<std::string, uint64_t>> VariablesOf(v1::Check check, const v1::CheckOptions& options) {
  switch (check) {
    case v1::CHECK_BANK:
      return {{"trunkload_branches", options.branches()}, {"trunkload_accounts", options.accounts()}};
    case v1::CHECK_COUNTER:
      return {{"trunkload_counters", options.counters()}};
    case v1::CHECK_APPEND_LIST:
      return {{"trunkload_lists", options.lists()}};
    case v1::CHECK_REFERENCE_TABLES:
      return {{"trunkload_rates", options.rates()}};
    default:
      return {};
  }
}

}  // namespace trunkload

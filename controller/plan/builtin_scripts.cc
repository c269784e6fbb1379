#include "controller/plan/builtin_scripts.h"

#include "controller/plan/check_scripts.h"

namespace trunkload {
namespace {

// The draws come first and in this order, all of them in simple-update too: a seed then gives the rows that
// it gives pgbench.
constexpr char kTpcbLike[] =
    R"(-- One account, its teller and its branch get the same change, which the history keeps.
\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
)";

constexpr char kSimpleUpdate[] = R"(-- One account and the history: no row that many clients want at once.
\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
)";

constexpr char kSelectOnly[] = R"(-- One account is read.
\set aid random(1, 100000 * :scale)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
)";

}  // namespace

bool IsInsert(v1::Builtin builtin) {
  return builtin == v1::BUILTIN_INSERT_SINGLE || builtin == v1::BUILTIN_INSERT_BATCH ||
         builtin == v1::BUILTIN_INSERT_COPY;
}

absl::string_view BuiltinText(v1::Builtin builtin) {
  switch (builtin) {
    case v1::BUILTIN_TPCB_LIKE:
      return kTpcbLike;
    case v1::BUILTIN_SIMPLE_UPDATE:
      return kSimpleUpdate;
    case v1::BUILTIN_SELECT_ONLY:
      return kSelectOnly;
    default:
      return CheckScriptText(builtin);
  }
}

}  // namespace trunkload

#include "controller/citus/tracking.h"

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "controller/citus/sql_text.h"

namespace trunkload {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(2);
constexpr char kTurnOn[] = "turn on the counting of statements";
constexpr char kPutBack[] = "put back the counting of statements";

struct Switch {
  const char* name;
  const char* off;
  const char* on;
};
// Set to something else than `off`, they count already.
constexpr Switch kSwitches[] = {
    {"citus.enable_stat_counters", "off", "on"},
    {"citus.stat_statements_track", "none", "all"},
    {"citus.stat_tenants_track", "none", "all"},
    {"pg_stat_statements.track", "none", "top"},
};

// FROM: those that are off, as w, and what the server says of them, as s.
std::string OffSwitches() {
  std::vector<std::string> switches;
  for (const Switch& one : kSwitches)
    switches.push_back(absl::StrCat("(", SqlLiteral(one.name), ", ", SqlLiteral(one.off), ")"));
  return absl::StrCat(
      " FROM (VALUES ", absl::StrJoin(switches, ", "),
      ") w(name, off) JOIN pg_catalog.pg_settings s ON s.name = w.name AND s.setting = w.off");
}

// Of those that ALTER SYSTEM has a say in, what the file that it writes has: "NAME=VALUE,…", without a value
// where it has none.
std::string ToTurnOnQuery() {
  return absl::StrCat(
      "SELECT pg_catalog.string_agg(w.name || '=' || coalesce((SELECT f.setting FROM "
      "pg_catalog.pg_file_settings f "
      "WHERE f.name = w.name AND f.sourcefile LIKE '%postgresql.auto.conf' ORDER BY f.seqno DESC LIMIT 1), "
      "''), ',')",
      OffSwitches(), " WHERE s.source IN ('default', 'configuration file')");
}

std::string OffQuery() {
  return absl::StrCat("SELECT pg_catalog.string_agg(w.name, ', ' ORDER BY w.name)", OffSwitches());
}

// One after the other: each is its own transaction, as ALTER SYSTEM wants it.
absl::Status RunAll(Database& database, const std::string& what, const std::vector<std::string>& statements) {
  for (const std::string& statement : statements) {
    if (absl::Status status = database.ReadValue(what, statement, kTimeout).status(); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

// Every backend reads its settings again, this one too: the others have when it has, or at their next
// statement.
absl::Status Await(Database& database, const std::string& what, const std::string& condition) {
  const absl::Time until = absl::Now() + kTimeout;
  while (absl::Now() < until) {
    const absl::StatusOr<std::string> holds =
        database.ReadValue(what, absl::StrCat("SELECT ", condition), kTimeout);
    if (!holds.ok()) return holds.status();
    if (*holds == "t") return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(20));
  }
  return absl::DeadlineExceededError(
      absl::StrCat("cannot ", what, ": the server does not read its settings again"));
}

// The mark's own setting is known to a session that has set it.
const std::string kKnowMark = "SET trunkload.tracking_before = ''";
const std::string kReload = "SELECT pg_catalog.pg_reload_conf()";

}  // namespace

absl::Status Tracking::Lock(Database& database) {
  const absl::StatusOr<std::string> locked =
      database.ReadValue(kTurnOn,
                         "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext('trunkload'), "
                         "pg_catalog.hashtext('tracking'))",
                         kTimeout);
  if (!locked.ok()) return locked.status();
  if (*locked == "t") return absl::OkStatus();
  return absl::FailedPreconditionError("another run counts statements there");
}

absl::Status Tracking::Find(Database& database) {
  const absl::StatusOr<std::string> mark = database.ReadValue(
      kPutBack, "SELECT pg_catalog.current_setting('trunkload.tracking_before', true)", kTimeout);
  if (!mark.ok()) return mark.status();
  if (mark->empty()) return on_ ? Lock(database) : absl::OkStatus();
  // That of somebody who is at work is not ours.
  const absl::Status locked = Lock(database);
  if (absl::IsFailedPrecondition(locked)) return absl::OkStatus();
  if (!locked.ok()) return locked;
  before_ = *mark;
  on_ = true;
  return absl::OkStatus();
}

absl::Status Tracking::TurnOn(Database& database) {
  if (on_) return absl::OkStatus();
  if (absl::Status status = Lock(database); !status.ok()) return status;
  const absl::StatusOr<std::string> off = database.ReadValue(kTurnOn, OffQuery(), kTimeout);
  if (!off.ok()) return off.status();
  if (off->empty()) {
    on_ = true;
    return absl::OkStatus();
  }
  const absl::StatusOr<std::string> superuser =
      database.ReadValue(kTurnOn, "SELECT pg_catalog.current_setting('is_superuser')", kTimeout);
  if (!superuser.ok()) return superuser.status();
  if (*superuser != "on") {
    on_ = true;
    return absl::FailedPreconditionError(absl::StrCat("only a superuser may turn on ", *off));
  }
  const absl::StatusOr<std::string> to_turn_on = database.ReadValue(kTurnOn, ToTurnOnQuery(), kTimeout);
  if (!to_turn_on.ok()) return to_turn_on.status();
  before_ = *to_turn_on;
  on_ = true;
  if (absl::Status status = Change(database); !status.ok()) return status;
  const absl::StatusOr<std::string> still_off = database.ReadValue(kTurnOn, OffQuery(), kTimeout);
  if (!still_off.ok()) return still_off.status();
  if (still_off->empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(*still_off, ": off by the server's command line, its role or its database"));
}

absl::Status Tracking::Change(Database& database) {
  if (before_.empty()) return absl::OkStatus();
  // The mark first: whatever happens next, it says what was.
  std::vector<std::string> statements = {
      kKnowMark, absl::StrCat("ALTER SYSTEM SET trunkload.tracking_before = ", SqlLiteral(before_))};
  std::vector<std::string> conditions;
  for (const absl::string_view entry : absl::StrSplit(before_, ',')) {
    for (const Switch& one : kSwitches) {
      if (entry.substr(0, entry.find('=')) != one.name) continue;
      statements.push_back(absl::StrCat("ALTER SYSTEM SET ", one.name, " = ", SqlLiteral(one.on)));
      conditions.push_back(
          absl::StrCat("pg_catalog.current_setting('", one.name, "') = ", SqlLiteral(one.on)));
    }
  }
  statements.push_back(kReload);
  if (absl::Status status = RunAll(database, kTurnOn, statements); !status.ok()) return status;
  return Await(database, kTurnOn, absl::StrJoin(conditions, " AND "));
}

absl::Status Tracking::PutBack(Database& database) {
  if (!on_) return absl::OkStatus();
  std::vector<std::string> statements = {kKnowMark};
  for (const absl::string_view entry : absl::StrSplit(before_, ',', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> before = absl::StrSplit(entry, absl::MaxSplits('=', 1));
    for (const Switch& one : kSwitches) {
      if (before.first != one.name) continue;
      statements.push_back(before.second.empty() ? absl::StrCat("ALTER SYSTEM RESET ", one.name)
                                                 : absl::StrCat("ALTER SYSTEM SET ", one.name, " = ",
                                                                SqlLiteral(before.second)));
    }
  }
  // The mark last.
  if (!before_.empty()) {
    statements.push_back("ALTER SYSTEM RESET trunkload.tracking_before");
    statements.push_back(kReload);
    if (absl::Status status = RunAll(database, kPutBack, statements); !status.ok()) return status;
  }
  on_ = false;
  before_.clear();
  return RunAll(database, kPutBack, {"SELECT pg_catalog.pg_advisory_unlock_all()"});
}

}  // namespace trunkload

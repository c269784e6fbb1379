#include "controller/store/run_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/run_rates.h"

namespace trunkload {
namespace {

constexpr char kFile[] = "trunkload.db";
// "trun": tells our files from other programs'.
constexpr int64_t kApplicationId = 0x7472756e;
constexpr int64_t kVersion = 4;

// Points are rows of their own: hours of a phase are not written anew each second.
constexpr char kTables[] = R"sql(
  CREATE TABLE runs (run_id TEXT PRIMARY KEY, began_ns INTEGER, boot_id TEXT, pid INTEGER, start_ticks INTEGER,
                     resumable INTEGER, summary BLOB, checksum INTEGER);
  CREATE TABLE checkpoints (run_id TEXT PRIMARY KEY, checkpoint BLOB, checksum INTEGER);
  CREATE TABLE phases (run_id TEXT, phase INTEGER, state BLOB, checksum INTEGER, PRIMARY KEY (run_id, phase));
  CREATE TABLE points (run_id TEXT, phase INTEGER, second INTEGER, point BLOB, checksum INTEGER,
                       PRIMARY KEY (run_id, phase, second));
  CREATE TABLE results (run_id TEXT PRIMARY KEY, result BLOB, checksum INTEGER);
)sql";
// Since version 2.
constexpr char kObservedTable[] =
    "CREATE TABLE observed (number INTEGER PRIMARY KEY, run_id TEXT, observed BLOB, checksum INTEGER); "
    "CREATE INDEX observed_of_run ON observed (run_id, number)";

// Since version 3.
constexpr char kCheckRecordsTable[] =
    "CREATE TABLE check_records (run_id TEXT PRIMARY KEY, record BLOB, checksum INTEGER)";

// Since version 4: see TokenStore.
constexpr char kTokenTables[] =
    "CREATE TABLE join_tokens (id TEXT PRIMARY KEY, hash BLOB, created_s INTEGER, expires_s INTEGER, "
    "agents INTEGER, revoked_s INTEGER, checksum INTEGER); "
    "CREATE TABLE token_agents (id TEXT, instance INTEGER, checksum INTEGER, PRIMARY KEY (id, instance))";

absl::Status MakeFile(const std::string& data_dir, const std::string& path) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(data_dir, error);
  if (error) {
    return absl::PermissionDeniedError(absl::StrCat("cannot make the data directory ", data_dir, ": ",
                                                    error.message(), "; choose another with --data-dir"));
  }
  if (made) chmod(data_dir.c_str(), S_IRWXU);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) {
    return absl::PermissionDeniedError(absl::StrCat("cannot write ", path, ": ", std::strerror(errno),
                                                    "; choose another place with --data-dir"));
  }
  close(fd);
  return absl::OkStatus();
}

std::string StartedAt(int64_t wall_ns) {
  return absl::FormatTime(absl::RFC3339_sec, absl::FromUnixNanos(wall_ns), absl::UTCTimeZone());
}

int64_t BeganNanos(const v1::RunSummary& summary) {
  absl::Time began;
  std::string error;
  return absl::ParseTime(absl::RFC3339_full, summary.started_at(), &began, &error) ? absl::ToUnixNanos(began)
                                                                                   : 0;
}

v1::RunSummary Summarise(const v1::RunResult& result) {
  v1::RunSummary summary;
  summary.set_run_id(result.run().id());
  summary.set_plan(result.run().plan().name());
  summary.set_started_at(result.run().started_at());
  summary.set_state(v1::RunSummary::STATE_ENDED);
  summary.set_sweep(result.run().plan().cell().sweep());
  summary.set_cell(result.run().plan().cell().number());
  summary.set_valid(result.verdict().valid());
  summary.set_cancelled(result.run().cancelled());
  summary.set_objectives_met(true);
  for (const v1::ObjectiveResult& objective : result.objectives()) {
    if (!objective.met()) summary.set_objectives_met(false);
  }
  for (const v1::CheckResult& check : result.checks()) {
    if (check.outcome() == v1::CheckResult::OUTCOME_FAILED) summary.set_check_failed(true);
  }
  summary.set_throughput_per_s(RatesOf(result).transactions_per_s);
  if (!result.verdict().reasons().empty()) summary.set_reason(result.verdict().reasons(0));
  return summary;
}

template <typename Message>
absl::Status Parse(absl::string_view bytes, const std::string& path, const std::string& what, Message& into) {
  if (into.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
  return DamagedStore(path, absl::StrCat(what, " can't be read"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunStore>> RunStore::Open(const std::string& data_dir, bool resumable) {
  absl::StatusOr<ProcessIdentity> process = ProcessIdentity::OfThisProcess();
  if (!process.ok()) return process.status();
  std::error_code error;
  const std::string path = std::filesystem::absolute(std::filesystem::path(data_dir) / kFile, error).string();
  if (absl::Status status = MakeFile(data_dir, path); !status.ok()) return status;
  absl::StatusOr<SqliteDatabase> database = SqliteDatabase::Open(path);
  if (!database.ok()) return database.status();
  if (absl::Status status = MakeTables(*database); !status.ok()) return status;
  absl::StatusOr<SqliteStatement> check = database->Prepare("PRAGMA quick_check(1)");
  if (!check.ok()) return check.status();
  if (absl::StatusOr<bool> row = check->Next(); !row.ok()) return row.status();
  if (check->Bytes(0) != "ok") return DamagedStore(path, check->Bytes(0));
  return std::unique_ptr<RunStore>(new RunStore(*std::move(database), *std::move(process), resumable));
}

absl::Status RunStore::MakeTables(SqliteDatabase& database) {
  const absl::StatusOr<int64_t> tables = database.Number("SELECT count(*) FROM sqlite_schema");
  if (!tables.ok()) return tables.status();
  const absl::StatusOr<int64_t> application = database.Number("PRAGMA application_id");
  if (!application.ok()) return application.status();
  const absl::StatusOr<int64_t> version = database.Number("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*tables > 0 && *application != kApplicationId)
    return DamagedStore(database.path(), "it is another program's");
  if (*version > kVersion) {
    return absl::FailedPreconditionError(absl::StrCat(database.path(),
                                                      " was made by a newer version of Trunkload: install "
                                                      "that one, or choose another place with --data-dir"));
  }
  // Before there is any table. In this order: the mode of the log can't be changed within a transaction.
  if (absl::Status status =
          database.Execute("PRAGMA auto_vacuum=FULL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
      !status.ok()) {
    return status;
  }
  if (*tables > 0 && *version == kVersion) return absl::OkStatus();
  absl::StatusOr<SqliteTransaction> transaction = SqliteTransaction::Begin(database);
  if (!transaction.ok()) return transaction.status();
  // Another process may have been faster.
  const absl::StatusOr<int64_t> now = database.Number("PRAGMA user_version");
  if (!now.ok()) return now.status();
  if (*now == kVersion) return absl::OkStatus();
  const std::string marks =
      absl::StrCat("PRAGMA application_id=", kApplicationId, "; PRAGMA user_version=", kVersion);
  if (*now == 0) {
    if (absl::Status status = database.Execute(kTables); !status.ok()) return status;
  }
  if (*now < 2) {
    if (absl::Status status = database.Execute(kObservedTable); !status.ok()) return status;
  }
  if (*now < 3) {
    if (absl::Status status = database.Execute(kCheckRecordsTable); !status.ok()) return status;
  }
  if (absl::Status status = database.Execute(kTokenTables); !status.ok()) return status;
  if (absl::Status status = database.Execute(marks.c_str()); !status.ok()) return status;
  return transaction->Commit();
}

absl::Status RunStore::PutRun(const v1::RunSummary& summary, int64_t began_ns) {
  absl::StatusOr<SqliteStatement> put =
      database_.Prepare("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  if (!put.ok()) return put.status();
  return put->AddText(summary.run_id())
      .Add(began_ns)
      .AddText(process_.boot_id)
      .Add(process_.pid)
      .Add(process_.start_ticks)
      .Add(resumable_ ? 1 : 0)
      .AddBlob(summary.SerializeAsString())
      .AddChecksum()
      .Run();
}

absl::Status RunStore::Save(const RunSnapshot& snapshot) {
  const v1::RunCheckpoint& run = snapshot.run;
  absl::StatusOr<SqliteTransaction> transaction = SqliteTransaction::Begin(database_);
  if (!transaction.ok()) return transaction.status();
  v1::RunSummary summary;
  summary.set_run_id(run.run_id());
  summary.set_plan(run.plan().name());
  summary.set_started_at(StartedAt(run.began_wall_ns()));
  summary.set_state(v1::RunSummary::STATE_UNDER_WAY);
  if (absl::Status status = PutRun(summary, run.began_wall_ns()); !status.ok()) return status;
  absl::StatusOr<SqliteStatement> put =
      database_.Prepare("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)");
  if (!put.ok()) return put.status();
  absl::Status status = put->AddText(run.run_id()).AddBlob(run.SerializeAsString()).AddChecksum().Run();
  if (!status.ok()) return status;
  for (const RunSnapshot::Phase& phase : snapshot.phases) {
    status = PutPhase(run.run_id(), phase);
    if (!status.ok()) return status;
  }
  absl::StatusOr<SqliteStatement> put_observed =
      database_.Prepare("INSERT INTO observed VALUES (NULL, ?, ?, ?)");
  if (!put_observed.ok()) return put_observed.status();
  for (const v1::Observed& observed : snapshot.observed) {
    status = put_observed->AddText(run.run_id()).AddBlob(observed.SerializeAsString()).AddChecksum().Run();
    if (!status.ok()) return status;
  }
  return transaction->Commit();
}

absl::Status RunStore::PutPhase(const std::string& run_id, const RunSnapshot::Phase& phase) {
  absl::StatusOr<SqliteStatement> state =
      database_.Prepare("INSERT OR REPLACE INTO phases VALUES (?, ?, ?, ?)");
  if (!state.ok()) return state.status();
  absl::Status status = state->AddText(run_id)
                            .Add(phase.state.phase())
                            .AddBlob(phase.state.SerializeAsString())
                            .AddChecksum()
                            .Run();
  if (!status.ok()) return status;
  absl::StatusOr<SqliteStatement> point =
      database_.Prepare("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?)");
  if (!point.ok()) return point.status();
  for (const v1::SeriesPoint& second : phase.points) {
    status = point->AddText(run_id)
                 .Add(phase.state.phase())
                 .Add(second.second())
                 .AddBlob(second.SerializeAsString())
                 .AddChecksum()
                 .Run();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status RunStore::DropCheckpoints(const std::string& run_id) {
  for (const char* table : {"checkpoints", "phases", "points", "observed"}) {
    absl::StatusOr<SqliteStatement> drop =
        database_.Prepare(absl::StrCat("DELETE FROM ", table, " WHERE run_id = ?"));
    if (!drop.ok()) return drop.status();
    if (absl::Status status = drop->AddText(run_id).Run(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status RunStore::Finish(const v1::RunResult& result) {
  absl::StatusOr<SqliteTransaction> transaction = SqliteTransaction::Begin(database_);
  if (!transaction.ok()) return transaction.status();
  const v1::RunSummary summary = Summarise(result);
  if (absl::Status status = PutRun(summary, BeganNanos(summary)); !status.ok()) return status;
  absl::StatusOr<SqliteStatement> put = database_.Prepare("INSERT OR REPLACE INTO results VALUES (?, ?, ?)");
  if (!put.ok()) return put.status();
  absl::Status status =
      put->AddText(summary.run_id()).AddBlob(result.SerializeAsString()).AddChecksum().Run();
  if (status.ok()) status = DropCheckpoints(summary.run_id());
  return status.ok() ? transaction->Commit() : status;
}

absl::Status RunStore::PutCheckRecord(const std::string& run_id, const v1::CheckRecord& record) {
  absl::StatusOr<SqliteStatement> put =
      database_.Prepare("INSERT OR REPLACE INTO check_records VALUES (?, ?, ?)");
  if (!put.ok()) return put.status();
  return put->AddText(run_id).AddBlob(record.SerializeAsString()).AddChecksum().Run();
}

absl::StatusOr<v1::CheckRecord> RunStore::CheckRecord(const std::string& run_id) const {
  const std::string what = absl::StrCat("what the checks of run ", run_id, " are settled by");
  absl::StatusOr<SqliteStatement> query =
      database_.Prepare("SELECT run_id, record, checksum FROM check_records WHERE run_id = ?");
  if (!query.ok()) return query.status();
  query->AddText(run_id);
  const absl::StatusOr<bool> row = query->NextChecked(what);
  if (!row.ok()) return row.status();
  if (!*row)
    return absl::NotFoundError(absl::StrCat("run ", run_id, " has left nothing to settle checks by"));
  v1::CheckRecord record;
  if (absl::Status status = Parse(query->Bytes(1), path(), what, record); !status.ok()) return status;
  return record;
}

absl::Status RunStore::Fail(v1::RunSummary summary) {
  absl::StatusOr<SqliteTransaction> transaction = SqliteTransaction::Begin(database_);
  if (!transaction.ok()) return transaction.status();
  summary.set_state(v1::RunSummary::STATE_FAILED);
  absl::Status status = PutRun(summary, BeganNanos(summary));
  if (status.ok()) status = DropCheckpoints(summary.run_id());
  return status.ok() ? transaction->Commit() : status;
}

absl::StatusOr<std::vector<RunStore::Entry>> RunStore::Entries() const {
  absl::StatusOr<SqliteStatement> query =
      database_.Prepare("SELECT * FROM runs ORDER BY began_ns DESC, run_id DESC");
  if (!query.ok()) return query.status();
  std::vector<Entry> entries;
  while (true) {
    const absl::StatusOr<bool> row = query->NextChecked("a run");
    if (!row.ok()) return row.status();
    if (!*row) return entries;
    Entry& entry = entries.emplace_back();
    entry.owner = {std::string(query->Bytes(2)), query->Integer(3), query->Integer(4)};
    entry.resumable = query->Integer(5) != 0;
    const std::string run_id(query->Bytes(0));
    absl::Status status = Parse(query->Bytes(6), path(), absl::StrCat("run ", run_id), entry.summary);
    if (!status.ok()) return status;
    const bool under_way = entry.summary.state() == v1::RunSummary::STATE_UNDER_WAY;
    if (under_way && !entry.owner.IsAlive()) entry.summary.set_state(v1::RunSummary::STATE_INTERRUPTED);
  }
}

absl::StatusOr<std::vector<v1::RunSummary>> RunStore::List() const {
  absl::StatusOr<std::vector<Entry>> entries = Entries();
  if (!entries.ok()) return entries.status();
  std::vector<v1::RunSummary> runs;
  for (Entry& entry : *entries) runs.push_back(std::move(entry.summary));
  return runs;
}

absl::StatusOr<v1::RunResult> RunStore::Result(const std::string& run_id) const {
  absl::StatusOr<SqliteStatement> query =
      database_.Prepare("SELECT run_id, result, checksum FROM results WHERE run_id = ?");
  if (!query.ok()) return query.status();
  query->AddText(run_id);
  const absl::StatusOr<bool> row = query->NextChecked(absl::StrCat("the result of run ", run_id));
  if (!row.ok()) return row.status();
  v1::RunResult result;
  if (*row) {
    absl::Status status = Parse(query->Bytes(1), path(), absl::StrCat("the result of run ", run_id), result);
    if (!status.ok()) return status;
    return result;
  }
  const absl::StatusOr<std::vector<v1::RunSummary>> runs = List();
  if (!runs.ok()) return runs.status();
  for (const v1::RunSummary& run : *runs) {
    if (run.run_id() != run_id) continue;
    switch (run.state()) {
      case v1::RunSummary::STATE_FAILED:
        return absl::FailedPreconditionError(absl::StrCat("run ", run_id, " could not run: ", run.reason()));
      case v1::RunSummary::STATE_INTERRUPTED:
        return absl::FailedPreconditionError(
            absl::StrCat("run ", run_id, " has no result: its controller was killed before it ended"));
      default:
        return absl::FailedPreconditionError(
            absl::StrCat("run ", run_id, " is under way: it has no result yet"));
    }
  }
  return absl::NotFoundError(absl::StrCat("there is no run ", run_id, " in ", path()));
}

absl::StatusOr<std::optional<RunSnapshot>> RunStore::TakeOverInterrupted() {
  absl::StatusOr<SqliteTransaction> transaction = SqliteTransaction::Begin(database_);
  if (!transaction.ok()) return transaction.status();
  const absl::StatusOr<std::vector<Entry>> entries = Entries();
  if (!entries.ok()) return entries.status();
  for (const Entry& entry : *entries) {
    if (!entry.resumable || entry.summary.state() != v1::RunSummary::STATE_INTERRUPTED) continue;
    absl::StatusOr<RunSnapshot> snapshot = Load(entry.summary.run_id());
    if (!snapshot.ok()) return snapshot.status();
    v1::RunSummary summary = entry.summary;
    summary.set_state(v1::RunSummary::STATE_UNDER_WAY);
    if (absl::Status status = PutRun(summary, snapshot->run.began_wall_ns()); !status.ok()) return status;
    if (absl::Status status = transaction->Commit(); !status.ok()) return status;
    return std::optional<RunSnapshot>(*std::move(snapshot));
  }
  return std::optional<RunSnapshot>();
}

absl::StatusOr<RunSnapshot> RunStore::Load(const std::string& run_id) const {
  const std::string what = absl::StrCat("the checkpoint of run ", run_id);
  RunSnapshot snapshot;
  absl::StatusOr<SqliteStatement> query =
      database_.Prepare("SELECT run_id, checkpoint, checksum FROM checkpoints WHERE run_id = ?");
  if (!query.ok()) return query.status();
  query->AddText(run_id);
  absl::StatusOr<bool> row = query->NextChecked(what);
  if (!row.ok()) return row.status();
  if (!*row) return DamagedStore(path(), absl::StrCat(what, " is missing"));
  if (absl::Status status = Parse(query->Bytes(1), path(), what, snapshot.run); !status.ok()) return status;
  absl::StatusOr<SqliteStatement> phases =
      database_.Prepare("SELECT run_id, phase, state, checksum FROM phases WHERE run_id = ? ORDER BY phase");
  if (!phases.ok()) return phases.status();
  phases->AddText(run_id);
  while ((row = phases->NextChecked(what)).ok() && *row) {
    RunSnapshot::Phase& phase = snapshot.phases.emplace_back();
    if (absl::Status status = Parse(phases->Bytes(2), path(), what, phase.state); !status.ok()) return status;
    absl::StatusOr<std::vector<v1::SeriesPoint>> points = LoadPoints(run_id, phase.state.phase());
    if (!points.ok()) return points.status();
    phase.points = *std::move(points);
  }
  if (!row.ok()) return row.status();
  absl::StatusOr<std::vector<v1::Observed>> observed = LoadObserved(run_id);
  if (!observed.ok()) return observed.status();
  snapshot.observed = *std::move(observed);
  return snapshot;
}

absl::StatusOr<std::vector<v1::Observed>> RunStore::LoadObserved(const std::string& run_id) const {
  const std::string what = absl::StrCat("the checkpoint of run ", run_id);
  absl::StatusOr<SqliteStatement> query =
      database_.Prepare("SELECT run_id, observed, checksum FROM observed WHERE run_id = ? ORDER BY number");
  if (!query.ok()) return query.status();
  query->AddText(run_id);
  std::vector<v1::Observed> all;
  absl::StatusOr<bool> row;
  while ((row = query->NextChecked(what)).ok() && *row) {
    if (absl::Status status = Parse(query->Bytes(1), path(), what, all.emplace_back()); !status.ok())
      return status;
  }
  if (!row.ok()) return row.status();
  return all;
}

absl::StatusOr<std::vector<v1::SeriesPoint>> RunStore::LoadPoints(const std::string& run_id,
                                                                  uint32_t phase) const {
  const std::string what = absl::StrCat("the checkpoint of run ", run_id);
  absl::StatusOr<SqliteStatement> query = database_.Prepare(
      "SELECT run_id, phase, second, point, checksum FROM points WHERE run_id = ? AND phase = ? ORDER BY "
      "second");
  if (!query.ok()) return query.status();
  query->AddText(run_id).Add(phase);
  std::vector<v1::SeriesPoint> points;
  absl::StatusOr<bool> row;
  while ((row = query->NextChecked(what)).ok() && *row) {
    absl::Status status = Parse(query->Bytes(3), path(), what, points.emplace_back());
    if (!status.ok()) return status;
  }
  if (!row.ok()) return row.status();
  return points;
}

absl::StatusOr<int> RunStore::Prune(absl::Time before) {
  absl::StatusOr<SqliteTransaction> transaction = SqliteTransaction::Begin(database_);
  if (!transaction.ok()) return transaction.status();
  const absl::StatusOr<std::vector<Entry>> entries = Entries();
  if (!entries.ok()) return entries.status();
  int pruned = 0;
  for (const Entry& entry : *entries) {
    const bool under_way = entry.summary.state() == v1::RunSummary::STATE_UNDER_WAY;
    if (under_way || BeganNanos(entry.summary) >= absl::ToUnixNanos(before)) continue;
    if (absl::Status status = DropCheckpoints(entry.summary.run_id()); !status.ok()) return status;
    for (const char* table : {"results", "check_records", "runs"}) {
      absl::StatusOr<SqliteStatement> drop =
          database_.Prepare(absl::StrCat("DELETE FROM ", table, " WHERE run_id = ?"));
      if (!drop.ok()) return drop.status();
      if (absl::Status status = drop->AddText(entry.summary.run_id()).Run(); !status.ok()) return status;
    }
    ++pruned;
  }
  if (absl::Status status = transaction->Commit(); !status.ok()) return status;
  // The file itself shrinks when the log has been moved into it.
  database_.Execute("PRAGMA wal_checkpoint(TRUNCATE)").IgnoreError();
  return pruned;
}

}  // namespace trunkload

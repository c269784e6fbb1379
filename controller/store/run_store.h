#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controller/run_snapshot.h"
#include "controller/store/process_identity.h"
#include "controller/store/sqlite.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/ledger.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Every run ever made, in one SQLite file under a data directory. Several processes may use a directory at
// the same time. What is damaged is refused with DATA_LOSS, not guessed at: each row bears a checksum. Not
// thread-safe.
class RunStore {
 public:
  // Makes the directory and the file, for this user alone, where they are not there. DATA_LOSS where the file
  // is damaged or is none of ours, FAILED_PRECONDITION where a newer version made it, PERMISSION_DENIED or
  // UNAVAILABLE where it can't be read and written. `resumable`: another controller may go on with the runs
  // of this one.
  static absl::StatusOr<std::unique_ptr<RunStore>> Open(const std::string& data_dir, bool resumable);

  // All or nothing, and on disk on return. A run begins with its first snapshot. RESOURCE_EXHAUSTED where the
  // disk is full.
  absl::Status Save(const RunSnapshot& snapshot);
  // The run has ended. What was saved of it on the way is dropped.
  absl::Status Finish(const v1::RunResult& result);
  // What the run's checks are settled by; kept as long as its result.
  absl::Status PutCheckRecord(const std::string& run_id, const v1::CheckRecord& record);
  // NOT_FOUND where the run has none.
  absl::StatusOr<v1::CheckRecord> CheckRecord(const std::string& run_id) const;
  // It could not run: with its id, plan, start and reason.
  absl::Status Fail(v1::RunSummary summary);

  // Newest first.
  absl::StatusOr<std::vector<v1::RunSummary>> List() const;
  // NOT_FOUND where there is no such run, FAILED_PRECONDITION where it has no result.
  absl::StatusOr<v1::RunResult> Result(const std::string& run_id) const;
  // The newest resumable run whose controller is not there any more: it is this process's from now on.
  absl::StatusOr<std::optional<RunSnapshot>> TakeOverInterrupted();
  // Deletes the runs that began before, except for those that are under way; how many. Their space is given
  // back.
  absl::StatusOr<int> Prune(absl::Time before);

  const std::string& path() const { return database_.path(); }

 private:
  RunStore(SqliteDatabase database, ProcessIdentity process, bool resumable)
      : database_(std::move(database)), process_(std::move(process)), resumable_(resumable) {}

  struct Entry {
    v1::RunSummary summary;
    ProcessIdentity owner;
    bool resumable = false;
  };
  static absl::Status MakeTables(SqliteDatabase& database);
  absl::StatusOr<std::vector<Entry>> Entries() const;
  absl::Status PutRun(const v1::RunSummary& summary, int64_t began_ns);
  absl::Status PutPhase(const std::string& run_id, const RunSnapshot::Phase& phase);
  absl::Status DropCheckpoints(const std::string& run_id);
  absl::StatusOr<RunSnapshot> Load(const std::string& run_id) const;
  absl::StatusOr<std::vector<v1::Observed>> LoadObserved(const std::string& run_id) const;
  absl::StatusOr<std::vector<v1::SeriesPoint>> LoadPoints(const std::string& run_id, uint32_t phase) const;

  SqliteDatabase database_;
  const ProcessIdentity process_;
  const bool resumable_;
};

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sqlite3;
struct sqlite3_stmt;

namespace trunkload {

// DATA_LOSS: says what is wrong with the file, and what a person can do about it.
absl::Status DamagedStore(absl::string_view path, absl::string_view what);

// A statement of an SqliteDatabase, which must outlive it. Not thread-safe.
class SqliteStatement {
 public:
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}

  // The value of its next question mark. All of them are given anew for each execution.
  SqliteStatement& Add(int64_t value);
  SqliteStatement& AddText(absl::string_view value);
  SqliteStatement& AddBlob(absl::string_view value);
  // A checksum over the values that were added before it. It is what the last column of our tables holds.
  SqliteStatement& AddChecksum();

  // Goes on to the next row. false: there is none, and the statement is ready for its next execution.
  absl::StatusOr<bool> Next();
  // The same where the last column is such a checksum over the others: DATA_LOSS, which names `what` is read,
  // where it is not that of the row.
  absl::StatusOr<bool> NextChecked(absl::string_view what);
  // An execution without rows.
  absl::Status Run();

  // Of the row; bytes are there until the next call of Next().
  int64_t Integer(int column) const;
  absl::string_view Bytes(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };

  SqliteStatement& Added(int result);

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int added_ = 0;
  // The first that went wrong while values were added.
  int result_ = 0;
  uint32_t checksum_ = 0;
};

// A connection to an SQLite file. Waits up to 5 s for other processes that hold a lock on it. What goes wrong
// is RESOURCE_EXHAUSTED where the disk is full, DATA_LOSS where the file is damaged, PERMISSION_DENIED or
// UNAVAILABLE, and names the file. Not thread-safe.
class SqliteDatabase {
 public:
  // The file is there, by its absolute path. Nothing is read yet.
  static absl::StatusOr<SqliteDatabase> Open(const std::string& path);

  const std::string& path() const { return path_; }

  // One or more statements; their rows are passed over.
  absl::Status Execute(const char* sql);
  absl::StatusOr<SqliteStatement> Prepare(absl::string_view sql) const;
  // The one number that a query gives.
  absl::StatusOr<int64_t> Number(absl::string_view sql) const;
  // Rows that the last statement inserted, updated or deleted.
  int changes() const;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };

  SqliteDatabase(std::string path, std::unique_ptr<sqlite3, Close> handle)
      : path_(std::move(path)), handle_(std::move(handle)) {}

  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

// Ends without a trace where it is not committed. The database must outlive it.
class SqliteTransaction {
 public:
  // The one process that may write.
  static absl::StatusOr<SqliteTransaction> Begin(SqliteDatabase& database);

  // Where it fails, nothing of it was done.
  absl::Status Commit();

 private:
  struct Rollback {
    void operator()(SqliteDatabase* database) const;
  };

  explicit SqliteTransaction(SqliteDatabase& database) : database_(&database) {}

  std::unique_ptr<SqliteDatabase, Rollback> database_;
};

}  // namespace trunkload

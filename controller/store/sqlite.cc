#include "controller/store/sqlite.h"

#include <sqlite3.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

constexpr int kBusyTimeoutMs = 5000;

absl::Status NoSpace(absl::string_view path) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "cannot write the run store ", path, ": there is no space left for it; make room on its file system"));
}

// Of what has just failed on the connection.
absl::Status Error(sqlite3* database, int result) {
  const absl::string_view path = sqlite3_db_filename(database, "main");
  const int system_error = sqlite3_system_errno(database);
  const auto cannot = [&](absl::string_view what, absl::string_view advice) {
    return absl::StrCat("cannot ", what, " the run store ", path, ": ",
                        system_error != 0 ? std::strerror(system_error) : sqlite3_errstr(result), advice);
  };
  switch (result & 0xff) {
    case SQLITE_FULL:
      return NoSpace(path);
    // Our statements are right for a schema that is ours, and this is what other mistakes in them give.
    case SQLITE_ERROR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DamagedStore(path, sqlite3_errmsg(database));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(
          absl::StrCat("cannot use the run store ", path, ": another process has locked it for ",
                       kBusyTimeoutMs / 1000, " s; see what holds it open with fuser"));
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::PermissionDeniedError(cannot("write", "; let this user write it and its directory"));
    default:
      break;
  }
  if (system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG) return NoSpace(path);
  if (system_error == EACCES || system_error == EPERM || system_error == EROFS)
    return absl::PermissionDeniedError(cannot("use", "; let this user read and write it and its directory"));
  return absl::UnavailableError(cannot("use", ""));
}

uint32_t Extend(uint32_t checksum, absl::string_view bytes) {
  // zlib takes a null pointer for a wish to begin anew.
  if (bytes.empty()) return checksum;
  return crc32_z(checksum, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
}

uint32_t ExtendByNumber(uint32_t checksum, int64_t value) {
  char bytes[sizeof value];
  for (char& byte : bytes) {
    byte = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  return Extend(checksum, absl::string_view(bytes, sizeof bytes));
}

// The length first, so that two neighbours can't lend each other bytes.
uint32_t ExtendByBytes(uint32_t checksum, absl::string_view bytes) {
  return Extend(ExtendByNumber(checksum, static_cast<int64_t>(bytes.size())), bytes);
}

}  // namespace

absl::Status DamagedStore(absl::string_view path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("the run store ", path, " is damaged: ", what,
                                          "; restore it from a backup, or move ", path,
                                          "* away to begin with an empty one"));
}

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqliteStatement& SqliteStatement::Added(int result) {
  if (result_ == SQLITE_OK) result_ = result;
  return *this;
}

SqliteStatement& SqliteStatement::Add(int64_t value) {
  checksum_ = ExtendByNumber(checksum_, value);
  return Added(sqlite3_bind_int64(statement_.get(), ++added_, value));
}

SqliteStatement& SqliteStatement::AddText(absl::string_view value) {
  checksum_ = ExtendByBytes(checksum_, value);
  return Added(sqlite3_bind_text64(statement_.get(), ++added_, value.data(), value.size(), SQLITE_TRANSIENT,
                                   SQLITE_UTF8));
}

SqliteStatement& SqliteStatement::AddBlob(absl::string_view value) {
  checksum_ = ExtendByBytes(checksum_, value);
  // A null pointer would be taken for NULL.
  const void* bytes = value.empty() ? "" : value.data();
  return Added(sqlite3_bind_blob64(statement_.get(), ++added_, bytes, value.size(), SQLITE_TRANSIENT));
}

SqliteStatement& SqliteStatement::AddChecksum() {
  return Added(sqlite3_bind_int64(statement_.get(), ++added_, checksum_));
}

absl::StatusOr<bool> SqliteStatement::Next() {
  int result = std::exchange(result_, SQLITE_OK);
  if (result == SQLITE_OK) result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  absl::Status status;
  if (result != SQLITE_DONE) status = Error(sqlite3_db_handle(statement_.get()), result);
  sqlite3_reset(statement_.get());
  added_ = 0;
  checksum_ = 0;
  if (!status.ok()) return status;
  return false;
}

absl::StatusOr<bool> SqliteStatement::NextChecked(absl::string_view what) {
  absl::StatusOr<bool> row = Next();
  if (!row.ok() || !*row) return row;
  const int last = sqlite3_column_count(statement_.get()) - 1;
  uint32_t checksum = 0;
  for (int column = 0; column < last; ++column) {
    checksum = sqlite3_column_type(statement_.get(), column) == SQLITE_INTEGER
                   ? ExtendByNumber(checksum, Integer(column))
                   : ExtendByBytes(checksum, Bytes(column));
  }
  if (Integer(last) == static_cast<int64_t>(checksum)) return true;
  return DamagedStore(sqlite3_db_filename(sqlite3_db_handle(statement_.get()), "main"),
                      absl::StrCat(what, " does not match its checksum"));
}

absl::Status SqliteStatement::Run() {
  return Next().status();
}

int64_t SqliteStatement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

absl::string_view SqliteStatement::Bytes(int column) const {
  // In this order, as SQLite's documentation has it.
  const void* bytes = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? absl::string_view() : absl::string_view(static_cast<const char*>(bytes), size);
}

void SqliteDatabase::Close::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

absl::StatusOr<SqliteDatabase> SqliteDatabase::Open(const std::string& path) {
  sqlite3* opened = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<sqlite3, Close> handle(opened);
  if (opened == nullptr) return absl::UnavailableError(absl::StrCat("cannot use ", path, ": out of memory"));
  sqlite3_extended_result_codes(opened, 1);
  if (result != SQLITE_OK) return Error(opened, sqlite3_extended_errcode(opened));
  // That is what SQLite falls back to.
  if (sqlite3_db_readonly(opened, "main") == 1) return Error(opened, SQLITE_READONLY);
  sqlite3_busy_timeout(opened, kBusyTimeoutMs);
  return SqliteDatabase(path, std::move(handle));
}

absl::Status SqliteDatabase::Execute(const char* sql) {
  const int result = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : Error(handle_.get(), result);
}

absl::StatusOr<SqliteStatement> SqliteDatabase::Prepare(absl::string_view sql) const {
  sqlite3_stmt* statement = nullptr;
  const int result =
      sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (result != SQLITE_OK) return Error(handle_.get(), result);
  return SqliteStatement(statement);
}

absl::StatusOr<int64_t> SqliteDatabase::Number(absl::string_view sql) const {
  absl::StatusOr<SqliteStatement> query = Prepare(sql);
  if (!query.ok()) return query.status();
  const absl::StatusOr<bool> row = query->Next();
  if (!row.ok()) return row.status();
  if (!*row) return DamagedStore(path_, absl::StrCat("nothing came back from ", sql));
  return query->Integer(0);
}

int SqliteDatabase::changes() const {
  return sqlite3_changes(handle_.get());
}

void SqliteTransaction::Rollback::operator()(SqliteDatabase* database) const {
  // After some failures SQLite has rolled back already, and says so; there is nothing to be done about
  // others.
  database->Execute("ROLLBACK").IgnoreError();
}

absl::StatusOr<SqliteTransaction> SqliteTransaction::Begin(SqliteDatabase& database) {
  if (absl::Status status = database.Execute("BEGIN IMMEDIATE"); !status.ok()) return status;
  return SqliteTransaction(database);
}

absl::Status SqliteTransaction::Commit() {
  absl::Status status = database_->Execute("COMMIT");
  if (status.ok()) database_.release();
  return status;
}

}  // namespace trunkload

#include "agent/table_loader.h"

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

// Of one chunk in a row. Connections are opened again with back-off, so that this takes some seconds.
constexpr uint32_t kMostFailures = 10;
// The first half of the key of our advisory locks; the chunk is the other.
constexpr uint32_t kLockClass = 0x74726e6b;

// The connection, the server or another session was in the way, and may not be the next time.
bool MayPass(std::string_view code) {
  const std::string_view kind = code.substr(0, 2);
  return kind == "08" || kind == "40" || code == "53300" || code == "57P01" || code == "57P02" ||
         code == "57P03";
}

std::string_view KeyColumn(v1::Workload workload) {
  return workload == v1::WORKLOAD_PGBENCH ? "aid" : "id";
}

}  // namespace

TableLoader::TableLoader(const v1::TableLoad& load, uint32_t application_server)
    : load_(load), chunk_(application_server), rows_(load.workload()) {}

bool TableLoader::Send(PqConnection& connection) {
  rows_.Start(ChunkKeys(load_, chunk_));
  return connection.SendCopyFrom(Sql(), [this] { return rows_.NextPiece(); });
}

// The lock makes a chunk that is sent again wait until its first transaction has ended: where the connection
// broke after the rows were sent, that may still be about to commit. Its rows are then seen, and deleted. As
// a query of its own that DELETE isn't counted among the rows written. Nobody is waited for without end, not
// even a first transaction whose connection the server does not know to be broken.
std::string TableLoader::Sql() const {
  const std::string_view target = RowText::CopyTarget(load_.workload());
  std::string sql = absl::StrCat(
      "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '60s'; "
      "SELECT pg_catalog.pg_advisory_xact_lock(",
      kLockClass, ", ", chunk_, "); ");
  if (load_.whole()) {
    return absl::StrCat(sql, "TRUNCATE ", std::string(target.substr(0, target.find(' '))), "; COPY ",
                        std::string(target), " FROM STDIN WITH (FREEZE); COMMIT");
  }
  if (failures_ > 0) {
    const KeyRange keys = ChunkKeys(load_, chunk_);
    absl::StrAppend(&sql, "WITH gone AS (DELETE FROM ", std::string(target.substr(0, target.find(' '))),
                    " WHERE ", std::string(KeyColumn(load_.workload())), " BETWEEN ", keys.first, " AND ",
                    keys.last, " RETURNING 1) SELECT count(*) FROM gone; ");
  }
  absl::StrAppend(&sql, "COPY ", std::string(target), " FROM STDIN; COMMIT");
  return sql;
}

void TableLoader::OnLoaded() {
  failures_ = 0;
  chunk_ += load_.loaders();
}

bool TableLoader::OnFailed(std::string_view code) {
  return MayPass(code) && ++failures_ < kMostFailures;
}

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/key_source.h"
#include "agent/pq_connection.h"
#include "agent/recorder.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// One of the builtin inserts into users(id, name, email). Sending a transaction fills in buffers that are
// made once, so that nothing is allocated here. Not thread-safe: the buffers are used again by the next one.
class InsertScript {
 public:
  // `number` tells its prepared statement from those of other scripts.
  InsertScript(const v1::Script& script, size_t number);

  const Statement& statement() const { return statement_; }
  // Whether connections are to prepare it.
  bool prepared() const { return prepared_; }
  uint32_t rows() const { return rows_; }
  // Makes the rows of the next transaction, script `number`; where keys may come again, the recorder is told
  // of them.
  void Fill(KeySource& keys, Recorder& recorder, uint32_t number);
  // Sends them on an idle connection; false where that broke it. `prepared`: where it is prepared(), the
  // connection has prepared statement() before.
  bool Send(PqConnection& connection, bool prepared);

 private:
  // What a row's columns are made of, as text with the key in it.
  struct Row {
    char id[8];  // big-endian
    char name[32];
    char email[48];
  };
  int64_t NextKey(KeySource& keys, Recorder& recorder, uint32_t number) const;
  void FillRow(Row& row, int64_t key, size_t first_parameter);
  void AppendCopyRow(int64_t key);

  const v1::Builtin builtin_;
  const v1::Keys keys_;
  const uint32_t rows_;
  const bool prepared_;
  Statement statement_;
  std::vector<Row> row_buffers_;
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
  std::string copy_buffer_;
};

}  // namespace trunkload

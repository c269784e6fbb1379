#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/pq_connection.h"
#include "agent/row_text.h"
#include "common/table_chunks.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// Loads one application server's chunks of a table, one after the other, each as one transaction. A chunk
// that failed is sent again, and takes the place of what its first transaction may have written. Not
// thread-safe.
class TableLoader {
 public:
  TableLoader(const v1::TableLoad& load, uint32_t application_server);

  // Sends the chunk that is next on an idle connection; false where that broke it. The answer has come when
  // the connection is done; then OnLoaded or OnFailed. The loader must outlive the connection's answer.
  bool Send(PqConnection& connection);
  // The next Send sends another chunk.
  void OnLoaded();
  // The next Send sends the same chunk again. False where that makes no sense, by the SQLSTATE `code` or
  // because it has failed too often. The connection must not be used again.
  bool OnFailed(std::string_view code);

 private:
  std::string Sql() const;

  const v1::TableLoad& load_;
  uint64_t chunk_;
  uint32_t failures_ = 0;
  RowText rows_;
};

}  // namespace trunkload

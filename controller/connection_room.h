#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controller/database.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// How many connections the target has for a run. An error where it can't be found out, as from a server that
// only speaks PostgreSQL's protocol.
absl::StatusOr<v1::ConnectionRoom> ReadConnectionRoom(Database& database);

// What the query of ReadConnectionRoom gives, as one text of seven numbers; `backend_pid` is what the
// connection itself was told on its start. INVALID_ARGUMENT where it is none.
absl::StatusOr<v1::ConnectionRoom> ParseConnectionRoom(absl::string_view numbers, int backend_pid);

}  // namespace trunkload

#include "controller/connection_room.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/clock.h"

namespace trunkload {
namespace {

// Everybody may read these. Limits of roles, databases and Citus are -1 where there is none, and no
// superuser's.
constexpr char kQuery[] =
    "SELECT pg_catalog.concat_ws(' ', pg_catalog.pg_backend_pid(), "
    "pg_catalog.current_setting('max_connections'), "
    "pg_catalog.current_setting('superuser_reserved_connections'), "
    "coalesce(pg_catalog.current_setting('reserved_connections', true), '0'), "
    "CASE pg_catalog.current_setting('is_superuser') WHEN 'on' THEN 1 ELSE 0 END, "
    "least((SELECT nullif(rolconnlimit, -1) FROM pg_catalog.pg_roles WHERE rolname = current_user), "
    "(SELECT nullif(datconnlimit, -1) FROM pg_catalog.pg_database "
    "WHERE datname = pg_catalog.current_database()), "
    "nullif(pg_catalog.current_setting('citus.max_client_connections', true), '-1')::int, 2000000000), "
    "(SELECT pg_catalog.sum(numbackends) FROM pg_catalog.pg_stat_database))";
constexpr char kWhat[] = "read how many connections the target has";
constexpr int kRoundTrips = 5;

enum Number { kBackendPid, kMost, kSuperusers, kReserved, kIsSuperuser, kLimit, kInUse, kNumbers };

}  // namespace

absl::StatusOr<v1::ConnectionRoom> ParseConnectionRoom(absl::string_view numbers, int backend_pid) {
  const std::vector<absl::string_view> parts = absl::StrSplit(numbers, ' ');
  std::array<int64_t, kNumbers> values{};
  if (parts.size() != values.size()) return absl::InvalidArgumentError("no numbers of connections");
  for (size_t i = 0; i < values.size(); ++i) {
    if (!absl::SimpleAtoi(parts[i], &values[i]) || values[i] < 0 || values[i] > 2'000'000'000)
      return absl::InvalidArgumentError("numbers of connections that cannot be");
  }
  int64_t most = values[kMost];
  if (values[kIsSuperuser] == 0)
    most = std::min(most - values[kSuperusers] - values[kReserved], values[kLimit]);
  v1::ConnectionRoom room;
  room.set_most(static_cast<uint32_t>(std::max<int64_t>(0, most)));
  // The one that asks ends before the run's are opened.
  room.set_in_use(static_cast<uint32_t>(std::max<int64_t>(0, values[kInUse] - 1)));
  room.set_pooled(values[kBackendPid] != backend_pid);
  return room;
}

absl::StatusOr<v1::ConnectionRoom> ReadConnectionRoom(Database& database) {
  const absl::StatusOr<std::string> numbers = database.ReadValue(kWhat, kQuery);
  if (!numbers.ok()) return numbers.status();
  absl::StatusOr<v1::ConnectionRoom> room = ParseConnectionRoom(*numbers, database.backend_pid());
  if (!room.ok()) return room.status();
  const SystemClock clock;
  std::vector<int64_t> round_trips_ns;
  for (int i = 0; i < kRoundTrips; ++i) {
    const int64_t began_ns = clock.MonotonicNanos();
    if (absl::Status status = database.Execute(kWhat, "SELECT 1"); !status.ok()) return status;
    round_trips_ns.push_back(clock.MonotonicNanos() - began_ns);
  }
  std::sort(round_trips_ns.begin(), round_trips_ns.end());
  room->set_round_trip_us(static_cast<double>(round_trips_ns[kRoundTrips / 2]) / 1000);
  return room;
}

}  // namespace trunkload

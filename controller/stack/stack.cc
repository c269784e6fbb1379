#include "controller/stack/stack.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace trunkload {
namespace {

namespace fs = std::filesystem;

// Tells a directory that may be removed from one that a mistyped --dir names.
constexpr char kMark[] = "trunkload-stack";
// Written last: a stack with it is complete.
constexpr char kState[] = "state";
constexpr char kCoordinator[] = "coordinator";
constexpr char kDatabase[] = "bench";

// initdb refuses to run as root, so that root's servers run as this user, which the server's package made.
constexpr char kServerUser[] = "postgres";

absl::StatusOr<std::string> UserForServers() {
  if (geteuid() != 0) return std::string();
  if (getpwnam(kServerUser) == nullptr) {
    return absl::FailedPreconditionError(
        "PostgreSQL does not run as root, and there is no user postgres: apt-get install postgresql, or call "
        "this as another user");
  }
  return std::string(kServerUser);
}

// Free ports of the loopback address, all different.
absl::StatusOr<std::vector<int>> FreePorts(int count) {
  std::vector<int> sockets, ports;
  for (int i = 0; i < count; ++i) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockets.push_back(fd);
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      break;
    }
    ports.push_back(ntohs(address.sin_port));
  }
  const std::string why = std::strerror(errno);
  // Only now, so that none is found twice.
  for (const int fd : sockets) close(fd);
  if (static_cast<int>(ports.size()) < count)
    return absl::UnavailableError(absl::StrCat("cannot find a free port: ", why));
  return ports;
}

std::vector<std::string> Settings(bool citus) {
  // A server that has run for a while writes its log over old segments. A new one has none, and would make
  // each with zeros first: all commits then wait for 16 MiB to reach the disk, in the middle of what is
  // measured.
  std::vector<std::string> settings = {"max_connections = 500", "wal_init_zero = off"};
  if (citus) {
    settings.insert(settings.end(),
                    {"shared_preload_libraries = 'citus'", "citus.enable_statistics_collection = off",
                     // Without certificates of its own, and on one machine.
                     "citus.node_conninfo = 'sslmode=disable'"});
  }
  return settings;
}

absl::Status MakeDatabase(PostgresNode& node, bool citus) {
  absl::Status status = node.Sql("postgres", "CREATE ROLE bench LOGIN").status();
  if (status.ok()) {
    status = node.Sql("postgres", absl::StrCat("CREATE DATABASE ", kDatabase, " OWNER bench")).status();
  }
  if (status.ok() && citus) status = node.Sql(kDatabase, "CREATE EXTENSION citus").status();
  return status;
}

// Makes the nodes one cluster; the version of its Citus.
absl::StatusOr<std::string> JoinWorkers(PostgresNode& coordinator, const std::vector<int>& worker_ports) {
  std::string sql = absl::StrCat("SELECT citus_set_coordinator_host('127.0.0.1', ", coordinator.port(), ");");
  for (const int port : worker_ports)
    absl::StrAppend(&sql, "SELECT citus_add_node('127.0.0.1', ", port, ");");
  if (absl::Status status = coordinator.Sql(kDatabase, sql).status(); !status.ok()) return status;
  return coordinator.Sql(kDatabase, "SELECT extversion FROM pg_extension WHERE extname = 'citus'");
}

}  // namespace

fs::path Stack::DefaultDirectory() {
  return fs::path("/tmp") / absl::StrCat("trunkload-stack-", geteuid());
}

Stack::Stack(fs::path directory) : directory_(fs::absolute(std::move(directory)).lexically_normal()) {}

absl::StatusOr<Stack::State> Stack::Up(int workers, const Cancellation& cancellation) {
  if (absl::StatusOr<State> up = Status(); up.ok()) {
    return absl::AlreadyExistsError(
        absl::StrCat("the stack is already up at ", up->conninfo, "; `trunkload stack down` removes it"));
  }
  absl::StatusOr<Installation> installation = FindInstallation();
  if (!installation.ok()) return installation.status();
  absl::StatusOr<std::string> user = UserForServers();
  if (!user.ok()) return user.status();
  if (absl::Status status = Down(); !status.ok()) return status;
  if (absl::Status status = MakeDirectory(*user); !status.ok()) return status;
  absl::StatusOr<State> made = MakeNodes(*installation, workers, *user, cancellation);
  if (made.ok()) return made;
  const absl::Status why = cancellation.cancelled() ? absl::CancelledError("cancelled") : made.status();
  if (absl::Status removed = Down(); !removed.ok()) {
    return absl::Status(why.code(), absl::StrCat(why.message(), "; and then: ", removed.message()));
  }
  return why;
}

absl::Status Stack::MakeDirectory(const std::string& user) {
  std::error_code error;
  fs::create_directories(directory_, error);
  if (!error) fs::permissions(directory_, fs::perms::owner_all, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot make ", directory_.string(), ": ", error.message()));
  // A directory of another user could hold links to anywhere.
  if (!fs::is_empty(directory_, error) || error) {
    return absl::FailedPreconditionError(absl::StrCat(
        directory_.string(), " is in use for something else; name another directory with --dir"));
  }
  std::ofstream(directory_ / kMark) << "Removed by `trunkload stack down`.\n";
  if (const passwd* server = user.empty() ? nullptr : getpwnam(user.c_str()); server != nullptr) {
    if (chown(directory_.c_str(), server->pw_uid, server->pw_gid) != 0) {
      return absl::UnavailableError(
          absl::StrCat("cannot give ", directory_.string(), " to ", user, ": ", std::strerror(errno)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Stack::State> Stack::MakeNodes(const Installation& installation, int workers,
                                              const std::string& user, const Cancellation& cancellation) {
  const bool citus = installation.citus && workers > 0;
  absl::StatusOr<std::vector<int>> ports = FreePorts(citus ? 1 + workers : 1);
  if (!ports.ok()) return ports.status();
  std::vector<PostgresNode> nodes;
  for (size_t i = 0; i < ports->size(); ++i) {
    nodes.emplace_back(installation, directory_ / (i == 0 ? kCoordinator : absl::StrCat("worker-", i)), user);
    if (cancellation.cancelled()) return absl::CancelledError("cancelled");
    absl::Status status = nodes[i].Init((*ports)[i], Settings(citus));
    if (status.ok()) status = nodes[i].Start();
    if (status.ok()) status = MakeDatabase(nodes[i], citus);
    if (!status.ok()) return status;
  }
  PostgresNode& coordinator = nodes.front();
  State state;
  state.conninfo =
      absl::StrCat("host=127.0.0.1 port=", coordinator.port(), " dbname=", kDatabase, " user=bench");
  state.citus_installed = installation.citus;
  absl::StatusOr<std::string> version = coordinator.Sql(kDatabase, "SHOW server_version");
  if (!version.ok()) return version.status();
  state.postgresql_version =
      std::pair<std::string, std::string>(absl::StrSplit(*version, absl::MaxSplits(' ', 1))).first;
  if (citus) {
    state.worker_ports.assign(ports->begin() + 1, ports->end());
    absl::StatusOr<std::string> citus_version = JoinWorkers(coordinator, state.worker_ports);
    if (!citus_version.ok()) return citus_version.status();
    state.citus_version = *citus_version;
  }
  if (absl::Status status = WriteState(state); !status.ok()) return status;
  return state;
}

absl::Status Stack::WriteState(const State& state) const {
  std::ofstream file(directory_ / kState);
  file << state.conninfo << "\n"
       << state.postgresql_version << "\n"
       << state.citus_version << "\n"
       << absl::StrJoin(state.worker_ports, " ") << "\n"
       << (state.citus_installed ? "citus" : "") << "\n";
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", (directory_ / kState).string()));
  return absl::OkStatus();
}

std::vector<PostgresNode> Stack::FindNodes(const Installation& installation, const std::string& user) const {
  std::vector<PostgresNode> nodes;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory_, error)) {
    if (fs::exists(entry.path() / "PG_VERSION", error)) nodes.emplace_back(installation, entry.path(), user);
  }
  return nodes;
}

absl::Status Stack::Down() {
  std::error_code error;
  if (!fs::exists(directory_ / kMark, error)) return absl::OkStatus();
  absl::StatusOr<std::string> user = UserForServers();
  absl::StatusOr<Installation> installation = FindInstallation();
  if (user.ok() && installation.ok()) {
    for (PostgresNode& node : FindNodes(*installation, *user)) {
      if (absl::Status status = node.Stop(); !status.ok()) return status;
    }
  }
  fs::remove_all(directory_, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot remove ", directory_.string(), ": ", error.message()));
  return absl::OkStatus();
}

absl::StatusOr<Stack::State> Stack::Status() const {
  std::error_code error;
  if (!fs::exists(directory_ / kMark, error))
    return absl::NotFoundError("no stack is up; `trunkload stack up` starts one");
  State state;
  std::string ports, installed;
  std::ifstream file(directory_ / kState);
  if (!std::getline(file, state.conninfo) || !std::getline(file, state.postgresql_version) ||
      !std::getline(file, state.citus_version) || !std::getline(file, ports) ||
      !std::getline(file, installed)) {
    return absl::NotFoundError(
        "a stack was begun and is not complete; `trunkload stack down` removes what is left of it");
  }
  state.citus_installed = !installed.empty();
  for (absl::string_view port : absl::StrSplit(ports, ' ', absl::SkipEmpty())) {
    state.worker_ports.push_back(std::stoi(std::string(port)));
  }
  for (const PostgresNode& node : FindNodes({}, "")) {
    if (!node.Running()) {
      return absl::NotFoundError("the stack's servers no longer run; `trunkload stack up` makes a new one");
    }
  }
  return state;
}

}  // namespace trunkload

#include "controller/stack/node.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "controller/stack/command.h"

namespace trunkload {
namespace {

namespace fs = std::filesystem;

constexpr char kStartTimeoutSeconds[] = "60";

}  // namespace

PostgresNode::PostgresNode(Installation installation, fs::path directory, std::string user)
    : installation_(std::move(installation)), directory_(std::move(directory)), user_(std::move(user)) {}

absl::Status PostgresNode::Init(int port, const std::vector<std::string>& settings) {
  port_ = port;
  absl::StatusOr<std::string> made =
      RunCommand({installation_.Program("initdb"), "--pgdata", directory_, "--username=postgres",
                  "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"},
                 user_);
  if (!made.ok()) return made.status();
  std::ofstream conf(directory_ / "postgresql.conf", std::ios::app);
  conf << "listen_addresses = '127.0.0.1'\nport = " << port << "\nunix_socket_directories = ''\n";
  for (const std::string& setting : settings) conf << setting << "\n";
  conf.close();
  return conf ? absl::OkStatus()
              : absl::UnavailableError(
                    absl::StrCat("cannot write ", (directory_ / "postgresql.conf").string()));
}

absl::Status PostgresNode::Start() {
  absl::StatusOr<std::string> started =
      RunCommand({installation_.Program("pg_ctl"), "start", "--pgdata", directory_, "--wait", "--timeout",
                  kStartTimeoutSeconds, "--log", directory_ / "server.log"},
                 user_);
  if (started.ok()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the PostgreSQL server for port ", port_, " does not start: ", LogTail()));
}

std::string PostgresNode::LogTail() const {
  std::ifstream log(directory_ / "server.log");
  std::string last = "its log is empty";
  for (std::string line; std::getline(log, line);) {
    if (absl::StrContains(line, "FATAL") || absl::StrContains(line, "ERROR")) last = line;
  }
  return last;
}

pid_t PostgresNode::Pid() const {
  std::ifstream file(directory_ / "postmaster.pid");
  pid_t pid = 0;
  if (!(file >> pid) || pid <= 0) return 0;
  // The file may be older than the last boot, and the number another program's by now. A server's working
  // directory is its data directory.
  std::error_code error;
  const bool ours = fs::equivalent(absl::StrCat("/proc/", pid, "/cwd"), directory_, error);
  return ours && !error ? pid : 0;
}

bool PostgresNode::Running() const {
  return Pid() != 0;
}

absl::Status PostgresNode::Stop() {
  if (!Running()) return absl::OkStatus();
  return RunCommand(
             {installation_.Program("pg_ctl"), "stop", "--pgdata", directory_, "--wait", "--mode=immediate"},
             user_)
      .status();
}

absl::StatusOr<std::string> PostgresNode::Sql(const std::string& database, const std::string& sql) {
  absl::StatusOr<std::string> output = RunCommand(
      {installation_.Program("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
       "--set=ON_ERROR_STOP=1", "--host=127.0.0.1", absl::StrCat("--port=", port_), "--username=postgres",
       absl::StrCat("--dbname=", database), absl::StrCat("--command=", sql)},
      user_);
  if (!output.ok()) return output.status();
  return std::string(absl::StripAsciiWhitespace(*output));
}

}  // namespace trunkload

#include "controller/faults/node_process.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

// glibc 2.36 forgot to declare these as C's.
extern "C" {
#include <sys/pidfd.h>
}

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "controller/faults/listeners.h"

namespace trunkload {
namespace {

namespace fs = std::filesystem;

// A process that a signal has reached does what it says within this time, however busy the machine is.
constexpr absl::Duration kSignalTimeout = absl::Seconds(10);
constexpr absl::Duration kLook = absl::Milliseconds(1);

struct ProcessState {
  char state = 0;
  pid_t parent = 0;
  uint64_t started = 0;
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// None where there is no such process.
std::optional<ProcessState> StateOf(pid_t pid) {
  const std::string text = ReadAll(absl::StrCat("/proc/", pid, "/stat"));
  // The name before it may hold anything.
  const size_t name_end = text.rfind(") ");
  if (name_end == text.npos) return std::nullopt;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(text).substr(name_end + 2), ' ');
  ProcessState state;
  if (fields.size() < 20 || fields[0].empty() || !absl::SimpleAtoi(fields[1], &state.parent) ||
      !absl::SimpleAtoi(fields[19], &state.started)) {
    return std::nullopt;
  }
  state.state = fields[0][0];
  return state;
}

// Still that process, and not ended.
std::optional<ProcessState> StateOf(const ProcessId& process) {
  const std::optional<ProcessState> state = StateOf(process.pid);
  if (!state || state->started != process.started || state->state == 'Z' || state->state == 'X')
    return std::nullopt;
  return state;
}

// What has its number at the moment of the signal is what was looked at: a pidfd stays with its process.
absl::Status Signal(const ProcessId& process, int signal) {
  const absl::Status gone = absl::UnavailableError(absl::StrCat("process ", process.pid, " has ended"));
  const int fd = pidfd_open(process.pid, 0);
  if (fd < 0) return gone;
  const absl::Cleanup close_fd = [fd] { close(fd); };
  if (!StateOf(process)) return gone;
  if (pidfd_send_signal(fd, signal, nullptr, 0) == 0) return absl::OkStatus();
  if (errno == ESRCH) return gone;
  return absl::FailedPreconditionError(
      absl::StrCat("process ", process.pid, " can't be signalled: ", std::strerror(errno)));
}

template <typename Visit>
void ForEachProcess(const Visit& visit) {
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
    pid_t pid;
    if (absl::SimpleAtoi(entry->path().filename().string(), &pid)) visit(pid);
  }
}

bool Holds(pid_t pid, const std::set<std::string>& sockets) {
  std::error_code error;
  for (fs::directory_iterator entry(absl::StrCat("/proc/", pid, "/fd"), error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code unreadable;
    if (sockets.contains(fs::read_symlink(entry->path(), unreadable))) return true;
  }
  return false;
}

// The postmaster alone keeps the sockets that it listens on; 0: there is none, or none that may be looked at.
pid_t FindPostmaster(const std::set<std::string>& sockets) {
  pid_t found = 0;
  ForEachProcess([&](pid_t pid) {
    const std::string name = ReadAll(absl::StrCat("/proc/", pid, "/comm"));
    if (found == 0 && absl::StartsWith(name, "postgres") && Holds(pid, sockets)) found = pid;
  });
  return found;
}

// Of a name where there is one, as setpriv takes both.
std::string UserOf(uid_t user) {
  if (user == geteuid()) return "";
  const passwd* const entry = getpwuid(user);
  return entry == nullptr ? absl::StrCat(user) : entry->pw_name;
}

}  // namespace

absl::StatusOr<NodeProcess> NodeProcess::Find(const std::string& address) {
  const absl::StatusOr<Listeners> listeners = FindListeners(address);
  if (!listeners.ok()) return listeners.status();
  const pid_t pid = FindPostmaster(listeners->sockets);
  const std::optional<ProcessState> state = StateOf(pid);
  const std::string proc = absl::StrCat("/proc/", pid);
  std::error_code error;
  NodeProcess found;
  found.directory_ = fs::read_symlink(proc + "/cwd", error);
  pid_t told = 0;
  std::ifstream(found.directory_ + "/postmaster.pid") >> told;
  struct stat owner {};
  if (pid == 0 || !state || error || told != pid || stat(proc.c_str(), &owner) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "what listens at ", address,
        " on this machine is no PostgreSQL server of this user's: be root, or the server's user"));
  }
  found.postmaster_ = {.pid = pid, .started = state->started};
  found.user_ = UserOf(owner.st_uid);
  found.programs_ = fs::read_symlink(proc + "/exe", error).parent_path();
  found.ipv4_ = listeners->ipv4;
  found.ipv6_ = listeners->ipv6;
  const std::string command_line = ReadAll(proc + "/cmdline");
  const std::vector<std::string> arguments = absl::StrSplit(command_line, '\0', absl::SkipEmpty());
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i] == "-D") {
      ++i;
    } else if (!absl::StartsWith(arguments[i], "-D")) {
      found.options_.push_back(arguments[i]);
    }
  }
  found.log_ = fs::read_symlink(proc + "/fd/2", error);
  if (error || !fs::is_regular_file(found.log_, error)) found.log_ = "/dev/null";
  return found;
}

absl::StatusOr<std::vector<ProcessId>> NodeProcess::StopAndList() {
  if (absl::Status status = Signal(postmaster_, SIGSTOP); !status.ok()) return status;
  const absl::Time deadline = absl::Now() + kSignalTimeout;
  while (true) {
    const std::optional<ProcessState> state = StateOf(postmaster_);
    if (!state) return absl::UnavailableError("the server has ended");
    if (state->state == 'T') break;
    if (absl::Now() > deadline) return absl::UnavailableError("the server does not stop");
    absl::SleepFor(kLook);
  }
  std::vector<ProcessId> children;
  ForEachProcess([&](pid_t pid) {
    const std::optional<ProcessState> state = StateOf(pid);
    if (state && state->parent == postmaster_.pid) children.push_back({pid, state->started});
  });
  return children;
}

absl::Status NodeProcess::Pause() {
  const absl::StatusOr<std::vector<ProcessId>> children = StopAndList();
  if (!children.ok()) return children.status();
  for (const ProcessId& child : *children) {
    // One that has ended meanwhile does nothing more.
    if (absl::Status status = Signal(child, SIGSTOP); absl::IsFailedPrecondition(status)) return status;
  }
  return absl::OkStatus();
}

absl::Status NodeProcess::Kill() {
  absl::StatusOr<std::vector<ProcessId>> processes = StopAndList();
  if (!processes.ok()) return processes.status();
  processes->insert(processes->begin(), postmaster_);
  for (const ProcessId& process : *processes) {
    if (absl::Status status = Signal(process, SIGKILL); absl::IsFailedPrecondition(status)) return status;
  }
  const absl::Time deadline = absl::Now() + kSignalTimeout;
  for (const ProcessId& process : *processes) {
    while (StateOf(process)) {
      if (absl::Now() > deadline)
        return absl::UnavailableError(absl::StrCat("process ", process.pid, " does not end"));
      absl::SleepFor(kLook);
    }
  }
  // Where nobody takes in what init should, an ended postmaster keeps its number, and a new one would take it
  // for one that runs.
  const std::string file = directory_ + "/postmaster.pid";
  const std::vector<std::string> lines = absl::StrSplit(ReadAll(file), '\n');
  if (lines.front() != absl::StrCat(postmaster_.pid)) return absl::OkStatus();
  unlink(file.c_str());
  // Its port is the fourth, and the folder of its socket, which has a lock of its own, the fifth.
  if (lines.size() < 5 || lines[4].empty()) return absl::OkStatus();
  const std::string lock = absl::StrCat(lines[4], "/.s.PGSQL.", lines[3], ".lock");
  const std::vector<std::string> locked = absl::StrSplit(ReadAll(lock), '\n');
  if (locked.front() == lines.front()) unlink(lock.c_str());
  return absl::OkStatus();
}

}  // namespace trunkload

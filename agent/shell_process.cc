#include "agent/shell_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>

namespace trunkload {
namespace {

// As much as pgbench looks at.
constexpr size_t kMostOutput = 63;

bool Watch(int epoll_fd, int fd, EventTag tag) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = tag.data()}};
  return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

// The agent blocks the signals that it waits for, and ignores SIGPIPE: nothing that a program expects.
void SetSignals(posix_spawnattr_t& attributes) {
  sigset_t none, ignored;
  sigemptyset(&none);
  sigemptyset(&ignored);
  sigaddset(&ignored, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &ignored);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

}  // namespace

ShellProcess::~ShellProcess() {
  if (pid_ != 0) {
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Close();
}

bool ShellProcess::Start(const std::string& command, bool keep_output) {
  int output[2] = {-1, -1};
  if (keep_output && pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  output_fd_ = output[0];
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (keep_output) {
    posix_spawn_file_actions_adddup2(&files, output[1], STDOUT_FILENO);
  } else {
    posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  SetSignals(attributes);
  char shell[] = "sh", option[] = "-c";
  std::string text = command;
  char* const arguments[] = {shell, option, text.data(), nullptr};
  const bool started = posix_spawn(&pid_, "/bin/sh", &files, &attributes, arguments, environ) == 0;
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (keep_output) close(output[1]);
  if (!started) {
    pid_ = 0;
    return false;
  }
  pid_fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  return pid_fd_ >= 0 && Watch(epoll_fd_, pid_fd_, tag_) &&
         (!keep_output || Watch(epoll_fd_, output_fd_, tag_));
}

bool ShellProcess::Ended() {
  ReadOutput();
  siginfo_t info{};
  if (pid_ == 0 || waitid(P_PIDFD, static_cast<id_t>(pid_fd_), &info, WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0) {
    return pid_ == 0;
  }
  // What it wrote last is there by now.
  ReadOutput();
  succeeded_ = info.si_code == CLD_EXITED && info.si_status == 0;
  pid_ = 0;
  Close();
  return true;
}

void ShellProcess::ReadOutput() {
  // One that never stops has its turn and no more.
  constexpr int kReadsAtOnce = 16;
  char buffer[4096];
  for (int reads = 0; output_fd_ >= 0 && reads < kReadsAtOnce; ++reads) {
    const ssize_t count = read(output_fd_, buffer, sizeof(buffer));
    if (count < 0) return;
    if (count == 0) {
      // Its end would be told again and again.
      close(std::exchange(output_fd_, -1));
      return;
    }
    std::string_view text(buffer, static_cast<size_t>(count));
    const size_t line = text.find('\n');
    if (!line_ended_) output_.append(text.substr(0, line));
    line_ended_ = line_ended_ || line != text.npos || output_.size() >= kMostOutput;
    if (output_.size() > kMostOutput) output_.resize(kMostOutput);
  }
}

void ShellProcess::Close() {
  // Closing them takes them out of the epoll set.
  if (pid_fd_ >= 0) close(std::exchange(pid_fd_, -1));
  if (output_fd_ >= 0) close(std::exchange(output_fd_, -1));
}

}  // namespace trunkload

#include "controller/faults/fault_command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc 2.36 forgot to declare these as C's.
extern "C" {
#include <sys/pidfd.h>
}

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "controller/child_process.h"

namespace trunkload {
namespace {

constexpr absl::Duration kGoodbye = absl::Seconds(5);
constexpr size_t kLastWordsBytes = 1000;

// What there is to read; its end is kept. False at the end of the output.
bool Drain(int fd, std::string& said) {
  char buffer[4096];
  ssize_t count;
  while ((count = read(fd, buffer, sizeof(buffer))) > 0) {
    said.append(buffer, static_cast<size_t>(count));
    if (said.size() > kLastWordsBytes) said.erase(0, said.size() - kLastWordsBytes);
  }
  return count < 0 && (errno == EAGAIN || errno == EINTR);
}

// Until it has ended; false: it has not in that time.
bool AwaitEnd(int process, int output, std::string& said, int cancel_fd, absl::Duration time) {
  const SystemClock clock;
  const bool limited = time != absl::InfiniteDuration();
  const int64_t until_ns = limited ? clock.MonotonicNanos() + absl::ToInt64Nanoseconds(time) : INT64_MAX;
  pollfd waiting[] = {{process, POLLIN, 0}, {output, POLLIN, 0}, {cancel_fd, POLLIN, 0}};
  while (true) {
    const int64_t left_ms = (until_ns - clock.MonotonicNanos()) / 1'000'000;
    if (limited && left_ms <= 0) return false;
    const int ready = poll(waiting, 3, limited ? static_cast<int>(left_ms) : -1);
    if (ready < 0 && errno == EINTR) continue;
    if (waiting[1].revents != 0 && !Drain(output, said)) waiting[1].fd = -1;
    if (waiting[0].revents != 0) return true;
    if (ready <= 0 || waiting[2].revents != 0) return false;
  }
}

}  // namespace

absl::Status RunFaultCommand(const std::string& command, const Cancellation& cancellation) {
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) return absl::ResourceExhaustedError(std::strerror(errno));
  const absl::Cleanup close_output = [&output] { close(output[0]); };
  const absl::StatusOr<pid_t> pid =
      StartProcess({.arguments = {"/bin/sh", "-c", command}, .output_fd = output[1], .process_group = true});
  close(output[1]);
  if (!pid.ok()) return pid.status();
  // Only this end: programs expect that what they write to blocks.
  fcntl(output[0], F_SETFL, O_NONBLOCK);
  const int process = pidfd_open(*pid, 0);
  const absl::Cleanup close_process = [process] { close(process); };
  std::string said;
  const bool ended = AwaitEnd(process, output[0], said, cancellation.fd(), absl::InfiniteDuration());
  if (!ended) {
    // Its number is its own as long as it is not waited for.
    kill(-*pid, SIGTERM);
    if (!AwaitEnd(process, output[0], said, -1, kGoodbye)) kill(-*pid, SIGKILL);
  }
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  Drain(output[0], said);
  if (!ended) return absl::CancelledError("it still ran when the load was over, and was ended");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  const std::string last = LastLine(said);
  const std::string how = WIFEXITED(status) ? absl::StrCat("ended with status ", WEXITSTATUS(status))
                                            : absl::StrCat("was ended by signal ", WTERMSIG(status));
  return absl::UnavailableError(absl::StrCat("it ", how, last.empty() ? "" : ": ", last));
}

}  // namespace trunkload

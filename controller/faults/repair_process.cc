#include "controller/faults/repair_process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/child_process.h"

namespace trunkload {
namespace {

// The end of its input is what it waits for. What the script says is told at the end: one that wrote to a
// pipe which nobody reads any more would be ended by that.
constexpr char kBefore[] = "read -r nothing\nsaid=$( {\n";
constexpr char kAfter[] = "\n} 2>&1 )\nstatus=$?\nprintf '%s\\n' \"$said\"\nexit $status\n";

}  // namespace

absl::StatusOr<std::unique_ptr<RepairProcess>> RepairProcess::Start(const std::string& script) {
  int input[2], output[2];
  if (pipe2(input, O_CLOEXEC) != 0) return absl::ResourceExhaustedError(std::strerror(errno));
  if (pipe2(output, O_CLOEXEC) != 0) {
    const std::string why = std::strerror(errno);
    close(input[0]);
    close(input[1]);
    return absl::ResourceExhaustedError(why);
  }
  const absl::StatusOr<pid_t> pid =
      StartProcess({.arguments = {"/bin/sh", "-c", absl::StrCat(kBefore, script, kAfter)},
                    .output_fd = output[1],
                    .input_fd = input[0],
                    .environment = {{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                     "LC_ALL=C", "HOME=/"}},
                    .directory = "/",
                    .process_group = true});
  close(input[0]);
  close(output[1]);
  if (!pid.ok()) {
    close(input[1]);
    close(output[0]);
    return pid.status();
  }
  return std::unique_ptr<RepairProcess>(new RepairProcess(*pid, input[1], output[0]));
}

RepairProcess::RepairProcess(pid_t pid, int input_fd, int output_fd)
    : pid_(pid), input_fd_(input_fd), output_fd_(output_fd) {}

RepairProcess::~RepairProcess() {
  if (input_fd_ >= 0) Repair().IgnoreError();
  close(output_fd_);
}

absl::Status RepairProcess::Repair() {
  if (input_fd_ < 0) return absl::FailedPreconditionError("it was repaired already");
  close(std::exchange(input_fd_, -1));
  std::string said;
  char buffer[4096];
  ssize_t count;
  while ((count = read(output_fd_, buffer, sizeof(buffer))) > 0 || (count < 0 && errno == EINTR)) {
    if (count > 0) said.append(buffer, static_cast<size_t>(count));
  }
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  const std::string last = LastLine(said);
  return absl::UnavailableError(last.empty() ? "it says nothing" : last);
}

}  // namespace trunkload

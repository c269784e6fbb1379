#include "controller/stack/command.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "controller/child_process.h"

namespace trunkload {
absl::StatusOr<std::string> RunCommand(std::vector<std::string> arguments, const std::string& user) {
  const std::string name = std::filesystem::path(arguments.front()).filename();
  if (!user.empty()) {
    arguments.insert(arguments.begin(), {"setpriv", absl::StrCat("--reuid=", user),
                                         absl::StrCat("--regid=", user), "--init-groups", "--"});
  }
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) return absl::ResourceExhaustedError(std::strerror(errno));
  const absl::Cleanup close_output = [&output] { close(output[0]); };
  const absl::StatusOr<pid_t> pid =
      StartProcess({.arguments = std::move(arguments),
                    .output_fd = output[1],
                    .environment = {{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                     "LC_ALL=C", "HOME=/"}},
                    // The user's own directory may be closed to the other user.
                    .directory = "/"});
  close(output[1]);
  if (!pid.ok()) return pid.status();

  std::string text;
  char buffer[4096];
  ssize_t count;
  while ((count = read(output[0], buffer, sizeof(buffer))) > 0 || (count < 0 && errno == EINTR)) {
    if (count > 0) text.append(buffer, count);
  }
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  const std::string last = LastLine(text);
  return absl::UnavailableError(absl::StrCat(name, " failed: ", last.empty() ? "it says nothing" : last));
}

}  // namespace trunkload

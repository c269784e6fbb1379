#include "controller/child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace trunkload {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

absl::StatusOr<pid_t> StartProcess(ChildProcess child) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  if (child.input_fd >= 0) {
    posix_spawn_file_actions_adddup2(&files, child.input_fd, STDIN_FILENO);
  } else {
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  posix_spawn_file_actions_adddup2(&files, child.output_fd, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, child.output_fd, STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  if (!child.directory.empty()) posix_spawn_file_actions_addchdir_np(&files, child.directory.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                            (child.process_group ? POSIX_SPAWN_SETPGROUP : 0));
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  sigset_t defaults;
  sigfillset(&defaults);
  posix_spawnattr_setsigdefault(&attributes, &defaults);

  const std::vector<char*> arguments = Pointers(child.arguments);
  std::vector<std::string> variables = child.environment.value_or(std::vector<std::string>());
  const std::vector<char*> environment = Pointers(variables);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments.front(), &files, &attributes, arguments.data(),
                                 child.environment ? environment.data() : environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot run ", child.arguments.front(), ": ", std::strerror(error)));
  }
  return pid;
}

std::string LastLine(const std::string& output) {
  std::string last;
  for (absl::string_view line : absl::StrSplit(output, '\n', absl::SkipWhitespace()))
    last = std::string(line);
  return last;
}

}  // namespace trunkload

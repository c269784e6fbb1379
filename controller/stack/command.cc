#include "controller/stack/command.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace trunkload {
namespace {

std::string LastLine(const std::string& output) {
  std::string last;
  for (absl::string_view line : absl::StrSplit(output, '\n', absl::SkipWhitespace()))
    last = std::string(line);
  return last;
}

}  // namespace

absl::StatusOr<std::string> RunCommand(std::vector<std::string> arguments, const std::string& user) {
  const std::string name = std::filesystem::path(arguments.front()).filename();
  if (!user.empty()) {
    arguments.insert(arguments.begin(), {"setpriv", absl::StrCat("--reuid=", user),
                                         absl::StrCat("--regid=", user), "--init-groups", "--"});
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                               "LC_ALL=C", "HOME=/"};
  char* envp[] = {environment[0].data(), environment[1].data(), environment[2].data(), nullptr};

  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) return absl::ResourceExhaustedError(std::strerror(errno));
  const absl::Cleanup close_output = [&output] { close(output[0]); };
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, output[1], STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  // The user's own directory may be closed to the other user.
  posix_spawn_file_actions_addchdir_np(&files, "/");
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), envp);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  close(output[1]);
  if (error != 0)
    return absl::UnavailableError(absl::StrCat("cannot run ", name, ": ", std::strerror(error)));

  std::string text;
  char buffer[4096];
  ssize_t count;
  while ((count = read(output[0], buffer, sizeof(buffer))) > 0 || (count < 0 && errno == EINTR)) {
    if (count > 0) text.append(buffer, count);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  const std::string last = LastLine(text);
  return absl::UnavailableError(absl::StrCat(name, " failed: ", last.empty() ? "it says nothing" : last));
}

}  // namespace trunkload

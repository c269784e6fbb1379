#include "controller/cli/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

absl::Status Failed(const std::string& path, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": ", why));
}

absl::Status WriteAll(int fd, absl::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
    text.remove_prefix(written);
  }
  return absl::OkStatus();
}

// Pipes and devices are written to as they are; only a regular file can be replaced.
bool Replaceable(const std::string& path) {
  struct stat found;
  return stat(path.c_str(), &found) != 0 || S_ISREG(found.st_mode);
}

std::string Template(const std::string& path) {
  return absl::StrCat(path, ".XXXXXX");
}

}  // namespace

absl::Status CheckOutput(const std::string& path) {
  if (path == "-") return absl::OkStatus();
  struct stat found;
  if (stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode))
    return Failed(path, "it is a directory; name a file in it");
  if (!Replaceable(path)) {
    return access(path.c_str(), W_OK) == 0 ? absl::OkStatus() : Failed(path, std::strerror(errno));
  }
  std::string temporary = Template(path);
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0)
    return Failed(path, absl::StrCat(std::strerror(errno), "; its directory must exist and be writable"));
  close(fd);
  unlink(temporary.c_str());
  return absl::OkStatus();
}

absl::Status WriteOutput(const std::string& path, absl::string_view text) {
  if (path == "-") return WriteAll(STDOUT_FILENO, text, "standard output");
  if (!Replaceable(path)) {
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return Failed(path, std::strerror(errno));
    const absl::Cleanup closer = [fd] { close(fd); };
    return WriteAll(fd, text, path);
  }
  std::string temporary = Template(path);
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return Failed(path, std::strerror(errno));
  // As a file made the usual way would have it.
  const mode_t mask = umask(0);
  umask(mask);
  fchmod(fd, 0666 & ~mask);
  absl::Status status = WriteAll(fd, text, path);
  if (status.ok() && fsync(fd) != 0) status = Failed(path, std::strerror(errno));
  close(fd);
  if (status.ok() && std::rename(temporary.c_str(), path.c_str()) != 0)
    status = Failed(path, std::strerror(errno));
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

}  // namespace trunkload

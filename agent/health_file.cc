#include "agent/health_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace trunkload {
namespace {

constexpr int64_t kTouchNanos = 1'000'000'000;
constexpr absl::Duration kStale = absl::Seconds(10);

}  // namespace

absl::Status HealthFile::Begin() const {
  if (path_.empty()) return absl::OkStatus();
  absl::Status status = Touch();
  Remove();
  return status;
}

absl::Status HealthFile::OnConfirmed(int64_t confirmed_ns) {
  if (path_.empty() || confirmed_ns == INT64_MIN) return absl::OkStatus();
  if (touched_for_ns_ != INT64_MIN && confirmed_ns - touched_for_ns_ < kTouchNanos) return absl::OkStatus();
  touched_for_ns_ = confirmed_ns;
  return Touch();
}

void HealthFile::Remove() const {
  if (!path_.empty()) unlink(path_.c_str());
}

absl::Status HealthFile::Touch() const {
  const int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  const bool touched = fd >= 0 && futimens(fd, nullptr) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (touched) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot write the health file ", path_, ": ", std::strerror(error)));
}

absl::Status CheckHealthFile(const std::string& path, const Clock& clock) {
  struct stat file;
  if (stat(path.c_str(), &file) != 0) {
    if (errno == ENOENT) {
      return absl::NotFoundError(absl::StrCat("no health file ", path,
                                              ": no controller has answered the agent yet, or it has left"));
    }
    return absl::UnavailableError(
        absl::StrCat("cannot read the health file ", path, ": ", std::strerror(errno)));
  }
  const absl::Duration age = absl::FromUnixNanos(clock.WallNanos()) - absl::TimeFromTimespec(file.st_mtim);
  if (age < -kStale)
    return absl::UnavailableError(absl::StrCat("the health file ", path, " is of the future"));
  if (age <= kStale) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("no controller has answered the agent for ",
                                             absl::FormatDuration(absl::Trunc(age, absl::Seconds(1))), ": ",
                                             path, " was not touched since"));
}

}  // namespace trunkload

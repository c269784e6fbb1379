#include "common/clock.h"

#include <ctime>

namespace trunkload {
namespace {

int64_t Read(clockid_t id) {
  timespec now;
  clock_gettime(id, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

int64_t SystemClock::MonotonicNanos() const {
  return Read(CLOCK_MONOTONIC);
}
int64_t SystemClock::WallNanos() const {
  return Read(CLOCK_REALTIME);
}

int64_t ThreadCpuNanos() {
  return Read(CLOCK_THREAD_CPUTIME_ID);
}

}  // namespace trunkload

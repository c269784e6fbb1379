#include "agent/machine_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace trunkload {
namespace {

constexpr int64_t kShortestSpanNanos = 100'000'000;

// A file of the kernel's, as far as its first 16 KiB; empty where it can't be read.
std::string ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string text(16 << 10, '\0');
  const ssize_t size = read(fd, text.data(), text.size());
  close(fd);
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return text;
}

uint64_t Since(uint64_t before, uint64_t now) {
  return now > before ? now - before : 0;
}

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : std::min(1.0, static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace

int64_t ProcessCpuNanos() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

MachineWatch::MachineWatch()
    : cpu_stat_paths_(CpuStatPaths(ReadFile("/proc/self/cgroup"), ReadFile("/proc/self/mountinfo"))),
      processors_(std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)))) {}

void MachineWatch::Start(int64_t now_ns, std::vector<pid_t> threads) {
  threads_ = std::move(threads);
  last_ = Read(now_ns);
}

MachineWatch::Reading MachineWatch::Read(int64_t now_ns) const {
  Reading reading;
  reading.at_ns = now_ns;
  reading.process_cpu_ns = ProcessCpuNanos();
  reading.processors = ParseProcessorTimes(ReadFile("/proc/stat")).value_or(ProcessorTimes());
  for (const std::string& path : cpu_stat_paths_) {
    // Usually one of them has a quota; where several do, they run out in the same periods.
    reading.throttled_ns = std::max(reading.throttled_ns, ParseThrottledNanos(ReadFile(path)).value_or(0));
  }
  for (const pid_t thread : threads_) {
    const std::string path = "/proc/self/task/" + std::to_string(thread) + "/schedstat";
    reading.waited_ns[thread] = ParseWaitedNanos(ReadFile(path)).value_or(0);
  }
  return reading;
}

std::optional<v1::MachineUse> MachineWatch::Take(int64_t now_ns) {
  const int64_t span_ns = now_ns - last_.at_ns;
  if (span_ns < kShortestSpanNanos) return std::nullopt;
  const Reading before = std::exchange(last_, Read(now_ns));
  const auto of_span = [span_ns](int64_t nanos) {
    return static_cast<double>(std::max<int64_t>(0, nanos)) / static_cast<double>(span_ns);
  };
  const uint64_t ticks = Since(before.processors.total, last_.processors.total);
  const uint64_t idle = std::min(ticks, Since(before.processors.idle, last_.processors.idle));
  v1::MachineUse use;
  use.set_processors(static_cast<uint32_t>(processors_));
  use.set_process_cpus(of_span(last_.process_cpu_ns - before.process_cpu_ns));
  use.set_machine_cpu(Share(ticks - idle, ticks));
  use.set_stolen_cpu(Share(Since(before.processors.stolen, last_.processors.stolen), ticks));
  use.set_throttled_ns(Since(before.throttled_ns, last_.throttled_ns));
  for (const auto& [thread, waited_ns] : last_.waited_ns) {
    const auto earlier = before.waited_ns.find(thread);
    if (earlier == before.waited_ns.end()) continue;
    const double share = of_span(static_cast<int64_t>(Since(earlier->second, waited_ns)));
    use.set_waited(std::max(use.waited(), std::min(1.0, share)));
  }
  return use;
}

}  // namespace trunkload

#include <cstdint>
#include <string_view>

#include "agent/kernel_counters.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  trunkload::ParseProcessorTimes(text);
  trunkload::ParseWaitedNanos(text);
  trunkload::ParseThrottledNanos(text);
  // Two files in one: the first is /proc/PID/cgroup.
  const size_t end = text.find('\0');
  const std::string_view mountinfo = end == text.npos ? text : text.substr(end + 1);
  for (const std::string& path : trunkload::CpuStatPaths(text.substr(0, end), mountinfo)) {
    FUZZ_CHECK(path.ends_with("/cpu.stat"), path);
  }
  return 0;
}

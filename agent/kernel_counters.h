#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trunkload {

// What Linux counts about processors, threads and control groups, read from the texts of its files (man 5
// proc, man 7 cgroups). Pure. Nothing where a text is none of those: the figure is then not known.

// Of all processors together since the machine began, in ticks.
struct ProcessorTimes {
  uint64_t total = 0;
  uint64_t idle = 0;    // waiting for the disk included
  uint64_t stolen = 0;  // the hypervisor ran something else
};
// Of /proc/stat.
std::optional<ProcessorTimes> ParseProcessorTimes(std::string_view stat);

// Of /proc/PID/task/TID/schedstat: for how long the thread was ready to run and had no processor.
std::optional<uint64_t> ParseWaitedNanos(std::string_view schedstat);

// Of a control group's cpu.stat: for how long its threads were kept from running because its quota was used
// up.
std::optional<uint64_t> ParseThrottledNanos(std::string_view cpu_stat);

// The cpu.stat files of a process's control group and of those that it is part of, as far as they can be
// seen; from /proc/PID/cgroup and /proc/PID/mountinfo. Both versions of control groups.
std::vector<std::string> CpuStatPaths(std::string_view cgroup, std::string_view mountinfo);

}  // namespace trunkload

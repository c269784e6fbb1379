#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/kernel_counters.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// User and system time of all threads of this process.
int64_t ProcessCpuNanos();

// How busy this machine and this process are, over spans of time: what may spoil a measurement that is taken
// here. Each Take reads a few files of /proc, some 0.1 ms. Not thread-safe.
class MachineWatch {
 public:
  MachineWatch();

  // The first span begins. `threads`: those that load, by their ids in the kernel.
  void Start(int64_t now_ns, std::vector<pid_t> threads);
  // Of the span that ends now, the next of which begins; nothing of one that is too short to say anything,
  // which goes on. What the kernel does not tell is 0.
  std::optional<v1::MachineUse> Take(int64_t now_ns);
  void AddThread(pid_t thread) { threads_.push_back(thread); }

 private:
  struct Reading {
    int64_t at_ns = 0;
    int64_t process_cpu_ns = 0;
    ProcessorTimes processors;
    uint64_t throttled_ns = 0;
    std::map<pid_t, uint64_t> waited_ns;
  };
  Reading Read(int64_t now_ns) const;

  const std::vector<std::string> cpu_stat_paths_;
  const int processors_;
  std::vector<pid_t> threads_;
  Reading last_;
};

}  // namespace trunkload

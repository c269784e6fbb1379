#include "agent/kernel_counters.h"

#include <unistd.h>

#include "agent/machine_watch.h"
#include "common/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::ElementsAre;

TEST(KernelCountersTest, ProcessorTimes) {
  const auto times = ParseProcessorTimes(
      "cpu  100 20 30 4000 50 6 7 8 90 1\n"
      "cpu0 1 2 3 4 5 6 7 8 9 10\n");
  ASSERT_TRUE(times.has_value());
  EXPECT_EQ(times->total, 100 + 20 + 30 + 4000 + 50 + 6 + 7 + 8) << "guests are users";
  EXPECT_EQ(times->idle, 4050);
  EXPECT_EQ(times->stolen, 8);
  for (const char* none :
       {"", "cpu", "cpu  1 2 3", "cpu  1 2 3 4 5 6 7 x", "intr 1 2 3 4 5 6 7 8 9", "cpu  -1 2 3 4 5 6 7 8"}) {
    EXPECT_FALSE(ParseProcessorTimes(none).has_value()) << none;
  }
}

TEST(KernelCountersTest, WaitedTime) {
  EXPECT_EQ(ParseWaitedNanos("123 4567 89\n"), 4567);
  for (const char* none : {"", "1", "1 x 2"}) EXPECT_FALSE(ParseWaitedNanos(none).has_value()) << none;
}

TEST(KernelCountersTest, ThrottledTimeOfBothVersions) {
  EXPECT_EQ(ParseThrottledNanos("nr_periods 10\nnr_throttled 3\nthrottled_time 123456789\n"), 123456789);
  EXPECT_EQ(ParseThrottledNanos("usage_usec 5\nnr_throttled 3\nthrottled_usec 250\nnr_bursts 0\n"), 250'000);
  EXPECT_FALSE(ParseThrottledNanos("usage_usec 5\nuser_usec 5\n").has_value()) << "the root has none";
  EXPECT_FALSE(ParseThrottledNanos("throttled_usec 18446744073709551615\n").has_value());
}

// As systemd has it.
TEST(KernelCountersTest, GroupsOfVersion2) {
  EXPECT_THAT(
      CpuStatPaths("0::/system.slice/agent.service\n",
                   "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
                   "31 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"),
      ElementsAre("/sys/fs/cgroup/system.slice/agent.service/cpu.stat",
                  "/sys/fs/cgroup/system.slice/cpu.stat", "/sys/fs/cgroup/cpu.stat"));
}

TEST(KernelCountersTest, GroupsOfVersion1) {
  constexpr char kMounts[] =
      "32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
      "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  EXPECT_THAT(CpuStatPaths("3:cpuset:/other\n2:cpu,cpuacct:/jobs/7\n0::/\n", kMounts),
              ElementsAre("/sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.stat",
                          "/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.stat", "/sys/fs/cgroup/cpu,cpuacct/cpu.stat"));
}

// Containers with and without a namespace of their own for control groups.
TEST(KernelCountersTest, GroupsInContainers) {
  constexpr char kOwn[] = "31 24 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
  EXPECT_THAT(CpuStatPaths("0::/\n", kOwn), ElementsAre("/sys/fs/cgroup/cpu.stat"));
  EXPECT_THAT(CpuStatPaths("0::/../outside\n", kOwn), ElementsAre("/sys/fs/cgroup/cpu.stat"));
  constexpr char kHosts[] = "31 24 0:26 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n";
  EXPECT_THAT(CpuStatPaths("2:cpu:/docker/abc\n", kHosts), ElementsAre("/sys/fs/cgroup/cpu/cpu.stat"));
  EXPECT_THAT(CpuStatPaths("2:cpu:/docker/abc/deep\n", kHosts),
              ElementsAre("/sys/fs/cgroup/cpu/deep/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat"));
  EXPECT_THAT(CpuStatPaths("2:cpu:/docker/abcdef\n", kHosts), ElementsAre("/sys/fs/cgroup/cpu/cpu.stat"));
  EXPECT_THAT(CpuStatPaths("2:cpu:/docker/abc\n", ""), ElementsAre());
  EXPECT_THAT(CpuStatPaths("", kHosts), ElementsAre());
  EXPECT_THAT(CpuStatPaths("0::no-slash", kOwn), ElementsAre("/sys/fs/cgroup/cpu.stat"));
}

TEST(MachineWatchTest, SeesTheWorkOfThisProcess) {
  const SystemClock clock;
  MachineWatch watch;
  // What it used is held to what it is known to have used: at least what it had used between Start and Take, at most that
  // and what both of them take.
  const int64_t cpu_before_start_ns = ProcessCpuNanos();
  const int64_t began_ns = clock.MonotonicNanos();
  watch.Start(began_ns, {gettid()});
  EXPECT_FALSE(watch.Take(began_ns + 1000).has_value()) << "too short to say anything";
  const int64_t cpu_after_start_ns = ProcessCpuNanos();
  while (ProcessCpuNanos() - cpu_after_start_ns < 300'000'000) {
  }
  const int64_t cpu_before_take_ns = ProcessCpuNanos();
  const int64_t ended_ns = clock.MonotonicNanos();
  const auto use = watch.Take(ended_ns);
  const int64_t cpu_after_take_ns = ProcessCpuNanos();
  ASSERT_TRUE(use.has_value());
  const double used_ns = use->process_cpus() * static_cast<double>(ended_ns - began_ns);
  EXPECT_GE(used_ns * 1.001, static_cast<double>(cpu_before_take_ns - cpu_after_start_ns));
  EXPECT_LE(used_ns * 0.999, static_cast<double>(cpu_after_take_ns - cpu_before_start_ns));
  EXPECT_GT(use->machine_cpu(), 0);
  EXPECT_GE(use->processors(), 1);
  EXPECT_GE(use->waited(), 0);
}

}  // namespace
}  // namespace trunkload

#include "agent/kernel_counters.h"

#include <charconv>
#include <utility>

namespace trunkload {
namespace {

// Takes the part before the next `separator` off the text; all of it where there is none.
std::string_view TakeField(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return field;
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool HasItem(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    if (TakeField(list, ',') == wanted) return true;
  }
  return false;
}

struct Mount {
  std::string_view root;
  std::string_view point;
};

// Where control groups with the CPU's controller (of version 1), or those of version 2, can be seen.
std::optional<Mount> FindMount(std::string_view mountinfo, bool version1) {
  while (!mountinfo.empty()) {
    std::string_view line = TakeField(mountinfo, '\n');
    Mount mount;
    for (int field = 0; field < 5; ++field) {
      const std::string_view value = TakeField(line, ' ');
      if (field == 3) mount.root = value;
      if (field == 4) mount.point = value;
    }
    while (!line.empty() && TakeField(line, ' ') != "-") {
    }
    const std::string_view type = TakeField(line, ' ');
    TakeField(line, ' ');
    if (version1 ? type == "cgroup" && HasItem(line, "cpu") : type == "cgroup2") return mount;
  }
  return std::nullopt;
}

// The process's group in the hierarchy of the CPU's controller, or in that of version 2.
std::optional<std::string_view> FindGroup(std::string_view cgroup, bool version1) {
  while (!cgroup.empty()) {
    std::string_view line = TakeField(cgroup, '\n');
    const std::string_view number = TakeField(line, ':');
    const std::string_view controllers = TakeField(line, ':');
    if (version1 ? HasItem(controllers, "cpu") : number == "0" && controllers.empty()) return line;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ProcessorTimes> ParseProcessorTimes(std::string_view stat) {
  std::string_view line = TakeField(stat, '\n');
  if (TakeField(line, ' ') != "cpu") return std::nullopt;
  while (line.starts_with(' ')) line.remove_prefix(1);
  // user, nice, system, idle, iowait, irq, softirq, steal; guests' times, which follow, are part of user's.
  ProcessorTimes times;
  for (int field = 0; field < 8; ++field) {
    const std::optional<uint64_t> ticks = ParseNumber(TakeField(line, ' '));
    if (!ticks) return std::nullopt;
    times.total += *ticks;
    if (field == 3 || field == 4) times.idle += *ticks;
    if (field == 7) times.stolen = *ticks;
  }
  return times;
}

std::optional<uint64_t> ParseWaitedNanos(std::string_view schedstat) {
  TakeField(schedstat, ' ');
  return ParseNumber(TakeField(schedstat, ' '));
}

std::optional<uint64_t> ParseThrottledNanos(std::string_view cpu_stat) {
  constexpr uint64_t kHighest = UINT64_MAX / 1000;
  while (!cpu_stat.empty()) {
    std::string_view line = TakeField(cpu_stat, '\n');
    const std::string_view name = TakeField(line, ' ');
    const bool micros = name == "throttled_usec";
    if (!micros && name != "throttled_time") continue;
    const std::optional<uint64_t> value = ParseNumber(line);
    if (!value || *value > kHighest) return std::nullopt;
    return micros ? *value * 1000 : *value;
  }
  return std::nullopt;
}

std::vector<std::string> CpuStatPaths(std::string_view cgroup, std::string_view mountinfo) {
  const bool version1 = FindMount(mountinfo, /*version1=*/true).has_value();
  const std::optional<Mount> mount = FindMount(mountinfo, version1);
  const std::optional<std::string_view> group = FindGroup(cgroup, version1);
  if (!mount || !group) return {};
  // In a container the mount may begin at a group of its own, and one outside of it can't be seen.
  std::string_view below = *group;
  const bool visible = mount->root == "/" || below == mount->root ||
                       (below.starts_with(mount->root) && below[mount->root.size()] == '/');
  if (mount->root != "/") below.remove_prefix(visible ? mount->root.size() : below.size());
  if (!below.starts_with('/') || below.starts_with("/..")) below = {};
  std::vector<std::string> paths;
  while (!below.empty() && below != "/") {
    paths.push_back(std::string(mount->point) + std::string(below) + "/cpu.stat");
    below = below.substr(0, below.rfind('/'));
  }
  paths.push_back(std::string(mount->point) + "/cpu.stat");
  return paths;
}

}  // namespace trunkload

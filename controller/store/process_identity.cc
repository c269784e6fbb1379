#include "controller/store/process_identity.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace trunkload {
namespace {

// Empty where it can't be read.
std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string BootId() {
  return std::string(absl::StripAsciiWhitespace(ReadFile("/proc/sys/kernel/random/boot_id")));
}

// nullopt: there is no such process, or it has ended and only waits to be reaped.
std::optional<int64_t> StartTicks(int64_t pid) {
  const std::string stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  // The program's name, in parentheses, may hold anything, parentheses and spaces too.
  const size_t name_end = stat.rfind(')');
  if (name_end == stat.npos) return std::nullopt;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(stat).substr(name_end + 1), ' ', absl::SkipEmpty());
  // The first of these is proc(5)'s number 3, the state; the start is its number 22.
  constexpr size_t kState = 0, kStart = 19;
  int64_t ticks;
  if (fields.size() <= kStart || !absl::SimpleAtoi(fields[kStart], &ticks)) return std::nullopt;
  if (fields[kState] == "Z" || fields[kState] == "X") return std::nullopt;
  return ticks;
}

}  // namespace

absl::StatusOr<ProcessIdentity> ProcessIdentity::OfThisProcess() {
  const int64_t pid = getpid();
  const std::string boot_id = BootId();
  const std::optional<int64_t> start_ticks = StartTicks(pid);
  if (boot_id.empty() || !start_ticks) {
    return absl::UnavailableError("cannot read /proc, by which runs know their processes: mount it");
  }
  return ProcessIdentity{.boot_id = boot_id, .pid = pid, .start_ticks = *start_ticks};
}

bool ProcessIdentity::IsAlive() const {
  return boot_id == BootId() && StartTicks(pid) == start_ticks;
}

}  // namespace trunkload

#include "controller/cli/data_dir.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

std::string Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string DefaultDataDir() {
  // What is not absolute is to be ignored: XDG Base Directory Specification.
  const std::string data_home = Environment("XDG_DATA_HOME");
  if (!data_home.empty() && data_home.front() == '/') return absl::StrCat(data_home, "/trunkload");
  const std::string home = Environment("HOME");
  return home.empty() ? "" : absl::StrCat(home, "/.local/share/trunkload");
}

}  // namespace trunkload

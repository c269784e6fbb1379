#include "controller/stack/installation.h"

#include <unistd.h>

#include <filesystem>
#include <optional>

#include "absl/strings/numbers.h"

namespace trunkload {
namespace {

namespace fs = std::filesystem;

// Debian keeps each major version in a directory of its own, and so do its packages of extensions. pg_config,
// which would know, belongs to the development packages.
constexpr char kVersions[] = "/usr/lib/postgresql";
constexpr char kShares[] = "/usr/share/postgresql";

bool Better(const Installation& a, const Installation& b) {
  int a_version = 0, b_version = 0;
  (void)absl::SimpleAtoi(a.version, &a_version);
  (void)absl::SimpleAtoi(b.version, &b_version);
  return a.citus != b.citus ? a.citus : a_version > b_version;
}

}  // namespace

absl::StatusOr<Installation> FindInstallation() {
  std::optional<Installation> best;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(kVersions, error)) {
    Installation found;
    found.bin = entry.path() / "bin";
    found.version = entry.path().filename();
    if (access(found.Program("initdb").c_str(), X_OK) != 0) continue;
    found.citus = fs::exists(fs::path(kShares) / found.version / "extension" / "citus.control", error);
    if (!best || Better(found, *best)) best = found;
  }
  if (!best) {
    return absl::NotFoundError(
        "no PostgreSQL server is installed under /usr/lib/postgresql: apt-get install postgresql");
  }
  return *best;
}

}  // namespace trunkload

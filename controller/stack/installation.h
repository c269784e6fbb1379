#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace trunkload {

// A PostgreSQL server that is installed on this machine.
struct Installation {
  std::string bin;      // the directory of initdb, pg_ctl and postgres
  std::string version;  // "15"
  bool citus = false;   // whether its citus extension is installed too

  std::string Program(const std::string& name) const { return bin + "/" + name; }
};

// The newest one that has Citus, or else the newest. NOT_FOUND with how to get one.
absl::StatusOr<Installation> FindInstallation();

}  // namespace trunkload

#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace trunkload {

struct ChildProcess {
  // The first is the program; it is looked for in PATH where it has no slash.
  std::vector<std::string> arguments;
  // Gets its standard output and error. It inherits no other descriptor but its input.
  int output_fd;
  // Of its input; -1: that is empty.
  int input_fd = -1;
  // As NAME=VALUE; none: that of this process.
  std::optional<std::vector<std::string>> environment;
  // Where it works; empty: where this process does.
  std::string directory;
  // Of its own, so that a Ctrl-C at the terminal reaches only this process.
  bool process_group = false;
};

// Starts it, with no signal blocked or ignored, and returns its process id. UNAVAILABLE where it can't be
// started.
absl::StatusOr<pid_t> StartProcess(ChildProcess child);

// Of what a program wrote, the last line that is not empty: its reason, where it failed.
std::string LastLine(const std::string& output);

}  // namespace trunkload

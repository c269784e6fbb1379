#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trunkload {

// A process that makes whole what is to be broken. It waits until it is told to, or until this process is
// gone, however that came: so nothing stays broken after a kill either. Not thread-safe.
class RepairProcess {
 public:
  // `script`: for the shell; has to do no harm where nothing, or not all, was broken.
  static absl::StatusOr<std::unique_ptr<RepairProcess>> Start(const std::string& script);
  // Repairs, where that has not been done.
  ~RepairProcess();
  RepairProcess(const RepairProcess&) = delete;
  RepairProcess& operator=(const RepairProcess&) = delete;

  // Has it do so, and waits for its end. UNAVAILABLE with the script's last line where it failed.
  absl::Status Repair();

 private:
  RepairProcess(pid_t pid, int input_fd, int output_fd);

  const pid_t pid_;
  // -1: it has been told.
  int input_fd_;
  const int output_fd_;
};

}  // namespace trunkload

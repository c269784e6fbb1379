#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/event_tag.h"

namespace trunkload {

// One run of /bin/sh -c on this machine, in a process group of its own, without blocking. What it prints goes
// to the agent's standard error, but for a first line that was asked for. Its owner watches it in an epoll
// set; it registers itself there with `tag` as the events' data. Not thread-safe.
class ShellProcess {
 public:
  ShellProcess(int epoll_fd, EventTag tag) : epoll_fd_(epoll_fd), tag_(tag) {}
  // Kills what still runs, and waits for its end.
  ~ShellProcess();
  ShellProcess(const ShellProcess&) = delete;
  ShellProcess& operator=(const ShellProcess&) = delete;

  // False where the machine has no process or file left for it.
  bool Start(const std::string& command, bool keep_output);
  // After an event: whether it has ended.
  bool Ended();
  // Once ended: it exited with 0.
  bool succeeded() const { return succeeded_; }
  // What it printed first, up to the end of the line or 63 bytes.
  std::string_view output() const { return output_; }

 private:
  void ReadOutput();
  void Close();

  const int epoll_fd_;
  const EventTag tag_;
  pid_t pid_ = 0;
  int pid_fd_ = -1;
  int output_fd_ = -1;
  bool succeeded_ = false;
  bool line_ended_ = false;
  std::string output_;
};

}  // namespace trunkload

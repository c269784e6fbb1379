#include "controller/cancellation.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace trunkload {

Cancellation::Cancellation() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Cancellation::~Cancellation() {
  close(fd_);
}

void Cancellation::Cancel() {
  eventfd_write(fd_, 1);
}

bool Cancellation::cancelled() const {
  pollfd waiting{fd_, POLLIN, 0};
  return poll(&waiting, 1, 0) == 1;
}

void Cancellation::Wait() const {
  pollfd waiting{fd_, POLLIN, 0};
  while (poll(&waiting, 1, -1) != 1) {
  }
}

}  // namespace trunkload

#include "controller/cli/stop_signals.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <utility>

namespace trunkload {
namespace {

sigset_t StoppingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

void StopSignals::Block() {
  const sigset_t signals = StoppingSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

StopSignals::StopSignals(absl::AnyInvocable<void(int)> on_signal)
    : thread_([this, on_signal = std::move(on_signal)]() mutable { Wait(on_signal); }) {}

StopSignals::~StopSignals() {
  ended_.Cancel();
  thread_.join();
}

void StopSignals::Wait(absl::AnyInvocable<void(int)>& on_signal) {
  const sigset_t signals = StoppingSignals();
  const int fd = signalfd(-1, &signals, SFD_CLOEXEC);
  int count = 0;
  while (!ended_.cancelled()) {
    pollfd waiting[] = {{fd, POLLIN, 0}, {ended_.fd(), POLLIN, 0}};
    poll(waiting, 2, -1);
    signalfd_siginfo signal;
    if ((waiting[0].revents & POLLIN) != 0 && read(fd, &signal, sizeof(signal)) > 0) on_signal(++count);
  }
  close(fd);
}

}  // namespace trunkload

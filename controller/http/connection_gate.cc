#include "controller/http/connection_gate.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/time/time.h"

namespace trunkload {
namespace {

// Where the process has no descriptor left, one that is closed elsewhere is waited for.
constexpr int kNoDescriptorMillis = 100;
constexpr absl::Duration kLeaves = absl::Seconds(1);

}  // namespace

ConnectionGate::ConnectionGate(int listening_fd, size_t most, OnConnection on_connection)
    : listening_fd_(listening_fd),
      most_(most),
      on_connection_(std::move(on_connection)),
      thread_([this] { Accept(); }) {}

ConnectionGate::~ConnectionGate() {
  stop_.Cancel();
  thread_.join();
  close(listening_fd_);
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [number, guest] : guests_) shutdown(guest.fd, SHUT_RDWR);
    const auto empty = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return guests_.empty(); };
    mutex_.Await(absl::Condition(&empty));
  }
  JoinEnded();
}

void ConnectionGate::JoinEnded() {
  std::vector<std::thread> ended;
  {
    absl::MutexLock lock(&mutex_);
    ended.swap(ended_);
  }
  for (std::thread& thread : ended) thread.join();
}

void ConnectionGate::Accept() {
  while (!stop_.cancelled()) {
    pollfd waiting[] = {{listening_fd_, POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
    poll(waiting, 2, -1);
    JoinEnded();
    if (waiting[0].revents == 0) continue;
    const int fd = accept4(listening_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      LetIn(fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      pollfd stopped{stop_.fd(), POLLIN, 0};
      poll(&stopped, 1, kNoDescriptorMillis);
    }
  }
}

bool ConnectionGate::MakeRoom() {
  const auto room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return guests_.size() < most_; };
  if (room()) return true;
  for (auto& [number, guest] : guests_) {
    if (guest.asked) continue;
    // Once is enough.
    guest.asked = true;
    shutdown(guest.fd, SHUT_RDWR);
    break;
  }
  // Those that have asked are answered soon.
  return mutex_.AwaitWithTimeout(absl::Condition(&room), kLeaves);
}

void ConnectionGate::LetIn(int fd) {
  absl::MutexLock lock(&mutex_);
  if (!MakeRoom()) {
    close(fd);
    return;
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const uint64_t number = ++last_number_;
  guests_[number].fd = fd;
  try {
    guests_[number].thread = std::thread([this, number, fd] { Serve(number, fd); });
  } catch (const std::system_error&) {
    // The system has no thread left.
    guests_.erase(number);
    close(fd);
  }
}

void ConnectionGate::Serve(uint64_t number, int fd) {
  on_connection_(fd, [this, number] {
    absl::MutexLock lock(&mutex_);
    guests_[number].asked = true;
  });
  absl::MutexLock lock(&mutex_);
  // With the mutex held, so that nobody shuts down another's.
  close(fd);
  ended_.push_back(std::move(guests_[number].thread));
  guests_.erase(number);
}

}  // namespace trunkload

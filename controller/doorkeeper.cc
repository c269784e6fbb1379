#include "controller/doorkeeper.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "controller/access/peer_address.h"

namespace trunkload {
namespace {

constexpr int kBacklog = 4096;
constexpr int kTickMs = 1'000;
// Without a file or memory left, and nobody to send away.
constexpr absl::Duration kBreath = absl::Milliseconds(50);
// What was sent and not acknowledged for so long is lost, and the connection with it.
constexpr unsigned int kUnacknowledgedMs = 5'000;

// gRPC's name for it.
std::string PeerOf(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return absl::StrCat("ipv4:", inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text), ":",
                        ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  return absl::StrCat("ipv6:[", inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text),
                      "]:", ntohs(v6.sin6_port));
}

void SetPort(sockaddr_storage& address, int port) {
  if (address.ss_family == AF_INET) {
    reinterpret_cast<sockaddr_in&>(address).sin_port = htons(static_cast<uint16_t>(port));
  } else {
    reinterpret_cast<sockaddr_in6&>(address).sin6_port = htons(static_cast<uint16_t>(port));
  }
}

int PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(address).sin_port
                                            : reinterpret_cast<sockaddr_in6&>(address).sin6_port);
}

// -1 with errno.
int ListenOn(const addrinfo& at, int port) {
  const int fd = socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fd;
  const int on = 1;
  const int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Those that are accepted have these too.
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMs, sizeof kUnacknowledgedMs);
  if (at.ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  sockaddr_storage address{};
  std::memcpy(&address, at.ai_addr, at.ai_addrlen);
  SetPort(address, port);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), at.ai_addrlen) == 0 && listen(fd, kBacklog) == 0)
    return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

Doorkeeper::Doorkeeper(const Limits& limits)
    : limits_(limits),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

absl::StatusOr<std::unique_ptr<Doorkeeper>> Doorkeeper::Open(const HostPort& at, const Limits& limits) {
  std::unique_ptr<Doorkeeper> door(new Doorkeeper(limits));
  absl::Status status = door->Listen(at);
  if (!status.ok() && at.host.empty()) status = door->Listen({"0.0.0.0", at.port});  // a machine without IPv6
  if (!status.ok()) return status;
  return door;
}

absl::Status Doorkeeper::Listen(const HostPort& at) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string host = at.host.empty() ? "::" : at.host;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0)
    return absl::UnavailableError(gai_strerror(error));
  const absl::Cleanup free_them = [found] { freeaddrinfo(found); };
  int error = 0;
  port_ = at.port;
  // A name may have several; a machine need not have all of them.
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const int fd = ListenOn(*one, port_);
    if (fd < 0) {
      error = errno;
      continue;
    }
    listeners_.push_back(fd);
    port_ = PortOf(fd);
  }
  if (!listeners_.empty()) return absl::OkStatus();
  return absl::UnavailableError(error == EADDRINUSE ? "another program listens there" : std::strerror(error));
}

Doorkeeper::~Doorkeeper() {
  Stop();
  for (const int fd : listeners_) close(fd);
  close(epoll_fd_);
  close(wake_fd_);
}

void Doorkeeper::Start(Accepted accepted) {
  accepted_ = std::move(accepted);
  std::vector<int> watched = listeners_;
  watched.push_back(wake_fd_);
  for (const int fd : watched) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  }
  thread_ = std::thread([this] { Work(); });
}

void Doorkeeper::Stop() {
  if (!thread_.joinable()) return;
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  const uint64_t one = 1;
  // Can't fail: it counts much further.
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
  thread_.join();
  absl::MutexLock lock(&mutex_);
  while (!strangers_.empty()) Forget(strangers_.begin());
}

void Doorkeeper::Admit(absl::string_view peer) {
  absl::MutexLock lock(&mutex_);
  if (const auto found = by_peer_.find(NormalizedPeer(peer)); found != by_peer_.end()) Forget(found->second);
}

void Doorkeeper::Work() {
  while (true) {
    epoll_event events[64];
    const int count = epoll_wait(epoll_fd_, events, 64, kTickMs);
    {
      absl::MutexLock lock(&mutex_);
      if (stop_) return;
      SendOldAway();
    }
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (std::find(listeners_.begin(), listeners_.end(), fd) != listeners_.end()) {
        AcceptFrom(fd);
      } else if (fd != wake_fd_) {
        OnClosed(fd);
      }
    }
  }
}

void Doorkeeper::AcceptFrom(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const int fd =
      accept4(listener, reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return;
    bool made_room;
    {
      absl::MutexLock lock(&mutex_);
      made_room = SendOneAway();
    }
    if (!made_room) absl::SleepFor(kBreath);
    return;
  }
  {
    absl::MutexLock lock(&mutex_);
    if (strangers_.size() >= limits_.strangers) SendOneAway();
    Watch(fd, NormalizedPeer(PeerOf(address)));
  }
  accepted_(listener, fd);
}

void Doorkeeper::Watch(int fd, std::string peer) {
  // That one stays valid whatever becomes of the other, so that no connection is taken for another.
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return;
  epoll_event event{.events = EPOLLRDHUP, .data = {.fd = own}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, own, &event);
  std::string address = AddressOfPeer(peer);
  ++by_address_[address];
  const auto stranger = strangers_.insert(
      strangers_.end(), {own, std::move(peer), std::move(address), clock_.MonotonicNanos()});
  by_fd_[own] = stranger;
  by_peer_[stranger->peer] = stranger;
}

bool Doorkeeper::SendOneAway() {
  const auto most = std::max_element(by_address_.begin(), by_address_.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == by_address_.end()) return false;
  const auto oldest = std::find_if(strangers_.begin(), strangers_.end(),
                                   [most](const Stranger& one) { return one.address == most->first; });
  shutdown(oldest->fd, SHUT_RDWR);
  Forget(oldest);
  return true;
}

void Doorkeeper::SendOldAway() {
  const int64_t now_ns = clock_.MonotonicNanos();
  while (!strangers_.empty() && now_ns - strangers_.front().since_ns > limits_.patience_ns) {
    shutdown(strangers_.front().fd, SHUT_RDWR);
    Forget(strangers_.begin());
  }
}

void Doorkeeper::OnClosed(int fd) {
  absl::MutexLock lock(&mutex_);
  if (const auto found = by_fd_.find(fd); found != by_fd_.end()) Forget(found->second);
}

void Doorkeeper::Forget(Strangers::iterator stranger) {
  // Closing alone does not: the connection is open elsewhere.
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, stranger->fd, nullptr);
  close(stranger->fd);
  by_fd_.erase(stranger->fd);
  // Its port may have been another's since.
  if (const auto found = by_peer_.find(stranger->peer); found != by_peer_.end() && found->second == stranger)
    by_peer_.erase(found);
  if (const auto address = by_address_.find(stranger->address); --address->second == 0)
    by_address_.erase(address);
  strangers_.erase(stranger);
}

}  // namespace trunkload

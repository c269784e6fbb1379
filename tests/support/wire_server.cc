#include "tests/support/wire_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace trunkload {
namespace {

constexpr size_t kInputBytes = 64 * 1024;
constexpr int kEvents = 256;
// A sleeping thread is woken some tens of microseconds late, so the last of a delay is spent awake.
constexpr int64_t kAwakeNanos = 100'000;
// Long enough for a client that waits to be woken and to read.
constexpr absl::Duration kBetweenPieces = absl::Microseconds(200);

int64_t NowNanos() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// Receives, and says in `received_ns` when the kernel had what came: before this thread was woken. Of a
// socket with SO_TIMESTAMPNS.
ssize_t ReceiveStamped(int fd, std::vector<char>& input, int64_t& received_ns) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(timespec))];
  iovec bytes = {input.data(), input.size()};
  msghdr message = {};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t got = recvmsg(fd, &message, 0);
  received_ns = NowNanos();
  const cmsghdr* const stamp = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (stamp != nullptr && stamp->cmsg_type == SCM_TIMESTAMPNS) {
    timespec arrived;
    std::memcpy(&arrived, CMSG_DATA(stamp), sizeof(arrived));
    // The kernel stamps in wall time.
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    received_ns -= (now.tv_sec - arrived.tv_sec) * 1'000'000'000 + (now.tv_nsec - arrived.tv_nsec);
  }
  return got;
}

void Watch(int epoll, int operation, int fd, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.fd = fd;
  epoll_ctl(epoll, operation, fd, &event);
}

}  // namespace

absl::StatusOr<std::unique_ptr<WireServer>> WireServer::Start(const WireServerOptions& options) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(options.port);
  socklen_t length = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener, generic, length) != 0 || listen(listener, SOMAXCONN) != 0 ||
      getsockname(listener, generic, &length) != 0) {
    const absl::Status status =
        absl::ErrnoToStatus(errno, absl::StrCat("can't listen on 127.0.0.1:", options.port));
    close(listener);
    return status;
  }
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::unique_ptr<WireServer> server(new WireServer(options, listener, epoll, wake, ntohs(address.sin_port)));
  server->thread_ = std::thread([server = server.get()] { server->Serve(); });
  return server;
}

WireServer::WireServer(const WireServerOptions& options, int listener, int epoll, int wake, uint16_t port)
    : delay_ns_(absl::ToInt64Nanoseconds(options.delay)),
      max_connections_(options.max_connections),
      piece_bytes_(options.piece_bytes),
      session_options_{.password = options.password,
                       .error_sqlstate = options.error_sqlstate,
                       .error_every = options.error_every,
                       .prepare_sqlstate = options.prepare_sqlstate,
                       .notice_bytes = options.notice_bytes,
                       .statements_per_session = options.statements_per_session,
                       .log = options.log,
                       .waits = delay_ns_ > 0},
      listener_(listener),
      epoll_(epoll),
      wake_(wake),
      port_(port),
      input_(kInputBytes) {
  Watch(epoll_, EPOLL_CTL_ADD, listener_, EPOLLIN);
  Watch(epoll_, EPOLL_CTL_ADD, wake_, EPOLLIN);
}

WireServer::~WireServer() {
  stop_ = true;
  eventfd_write(wake_, 1);
  thread_.join();
  for (size_t fd = 0; fd < connections_.size(); ++fd) {
    if (connections_[fd] != nullptr) close(static_cast<int>(fd));
  }
  close(listener_);
  close(epoll_);
  close(wake_);
}

std::string WireServer::conninfo() const {
  return absl::StrCat("host=127.0.0.1 port=", port_, " dbname=bench user=bench",
                      session_options_.password.empty() ? "" : " password=", session_options_.password);
}

void WireServer::BreakConnections() {
  break_ = true;
  eventfd_write(wake_, 1);
}

void WireServer::Serve() {
  // In effect for this thread only.
  prctl(PR_SET_TIMERSLACK, 1);
  epoll_event events[kEvents];
  while (!stop_) {
    const int ready = Wait(events, kEvents);
    for (int i = 0; i < ready; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener_) {
        Accept();
      } else if (fd == wake_) {
        eventfd_t value;
        eventfd_read(wake_, &value);
      } else {
        OnEvent(fd, events[i].events);
      }
    }
    if (delay_ns_ > 0) AnswerDue();
    if (break_.load(std::memory_order_relaxed) && break_.exchange(false)) {
      for (size_t fd = 0; fd < connections_.size(); ++fd) {
        if (connections_[fd] != nullptr) Close(static_cast<int>(fd));
      }
    }
  }
}

int WireServer::Wait(epoll_event* events, int capacity) {
  if (due_.empty()) return epoll_wait(epoll_, events, capacity, -1);
  const int64_t asleep_ns = std::max<int64_t>(due_.front().at_ns - NowNanos() - kAwakeNanos, 0);
  const timespec timeout = {asleep_ns / 1'000'000'000, asleep_ns % 1'000'000'000};
  return epoll_pwait2(epoll_, events, capacity, &timeout, nullptr);
}

void WireServer::AnswerDue() {
  while (!due_.empty()) {
    const int64_t now_ns = NowNanos();
    const Due due = due_.front();
    if (due.at_ns > now_ns) return;
    due_.pop_front();
    Connection* const connection = connections_[due.fd].get();
    if (connection == nullptr || connection->number != due.connection) continue;
    connection->waiting = false;
    const std::string in = std::move(connection->in);
    connection->in.clear();
    Advance(due.fd, *connection, in, now_ns);
  }
}

void WireServer::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (delay_ns_ > 0) setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
    if (connections_.size() <= static_cast<size_t>(fd)) connections_.resize(fd + 1);
    connections_[fd] = std::make_unique<Connection>(session_options_, counts_, open_ >= max_connections_);
    connections_[fd]->number = next_connection_++;
    ++open_;
    Watch(epoll_, EPOLL_CTL_ADD, fd, EPOLLIN);
  }
}

void WireServer::OnEvent(int fd, uint32_t events) {
  Connection& connection = *connections_[fd];
  if ((events & EPOLLOUT) != 0 && !Flush(fd, connection, /*had_output=*/true)) return;
  if ((events & ~EPOLLOUT) != 0) OnInput(fd, connection);
}

void WireServer::OnInput(int fd, Connection& connection) {
  int64_t received_ns = 0;
  const ssize_t got =
      delay_ns_ > 0 ? ReceiveStamped(fd, input_, received_ns) : recv(fd, input_.data(), input_.size(), 0);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) Close(fd);
    return;
  }
  const absl::string_view input(input_.data(), static_cast<size_t>(got));
  if (connection.waiting) {
    connection.in.append(input.data(), input.size());
    return;
  }
  if (connection.in.empty()) return Advance(fd, connection, input, received_ns);
  std::string in = std::move(connection.in);
  connection.in.clear();
  in.append(input.data(), input.size());
  Advance(fd, connection, in, received_ns);
}

void WireServer::Advance(int fd, Connection& connection, absl::string_view in, int64_t received_ns) {
  const bool had_output = !connection.out.empty();
  const WireSession::Next next = connection.session.Consume(in, connection.out);
  const bool flush = connection.session.TakeFlush();
  if (next == WireSession::Next::kWait) {
    connection.waiting = true;
    due_.push_back({received_ns + delay_ns_, fd, connection.number});
  }
  connection.in.append(in.data(), in.size());
  if (next == WireSession::Next::kClose) {
    // The last bytes and the end come as one.
    if (Flush(fd, connection, had_output, MSG_MORE)) Close(fd);
  } else if (flush) {
    Flush(fd, connection, had_output);
  }
}

bool WireServer::Flush(int fd, Connection& connection, bool had_output, int flags) {
  const ssize_t sent = Send(fd, connection.out, flags);
  if (sent < 0) {
    Close(fd);
    return false;
  }
  connection.out.erase(0, static_cast<size_t>(sent));
  const bool has_output = !connection.out.empty();
  if (has_output != had_output) Watch(epoll_, EPOLL_CTL_MOD, fd, has_output ? EPOLLIN | EPOLLOUT : EPOLLIN);
  return true;
}

ssize_t WireServer::Send(int fd, absl::string_view out, int flags) const {
  size_t sent = 0;
  while (sent < out.size()) {
    absl::string_view piece = out.substr(sent);
    if (piece_bytes_ > 0) {
      if (sent > 0) absl::SleepFor(kBetweenPieces);
      piece = piece.substr(0, piece_bytes_);
    }
    const ssize_t taken = send(fd, piece.data(), piece.size(), flags | MSG_NOSIGNAL);
    if (taken < 0 && errno != EAGAIN) return -1;
    if (taken <= 0) break;
    sent += static_cast<size_t>(taken);
  }
  return static_cast<ssize_t>(sent);
}

void WireServer::Close(int fd) {
  close(fd);
  connections_[fd].reset();
  --open_;
}

}  // namespace trunkload

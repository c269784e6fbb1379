#include "controller/http/http_stream.h"

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/clock.h"

namespace trunkload {
namespace {

constexpr absl::Duration kGoodbye = absl::Milliseconds(500);
constexpr int kGoodbyeReads = 64;

int64_t In(absl::Duration time) {
  return SystemClock().MonotonicNanos() + absl::ToInt64Nanoseconds(time);
}

}  // namespace

HttpStream::HttpStream(int fd, SslSession session)
    : fd_(fd), session_(std::move(session)), deadline_ns_(In(kRequestTimeout)) {}

bool HttpStream::Await(short events) const {
  const int64_t left_ns = deadline_ns_ - SystemClock().MonotonicNanos();
  if (left_ns <= 0) return false;
  pollfd waiting{fd_, events, 0};
  const int ready = poll(&waiting, 1, static_cast<int>(left_ns / 1'000'000) + 1);
  return ready > 0 || (ready < 0 && errno == EINTR);
}

bool HttpStream::AwaitTls(int result) const {
  switch (SSL_get_error(session_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Await(POLLIN);
    case SSL_ERROR_WANT_WRITE:
      return Await(POLLOUT);
    default:
      return false;
  }
}

bool HttpStream::Greet() {
  if (!session_) return true;
  while (true) {
    ERR_clear_error();
    const int result = SSL_accept(session_.get());
    if (result == 1) return true;
    if (!AwaitTls(result)) return false;
  }
}

void HttpStream::BeginAnswer() {
  answering_ = true;
  deadline_ns_ = In(kAnswerTimeout);
}

ssize_t HttpStream::Receive(char* to, size_t size) {
  while (true) {
    if (session_) {
      ERR_clear_error();
      const int count = SSL_read(session_.get(), to, static_cast<int>(size));
      if (count > 0) return count;
      if (SSL_get_error(session_.get(), count) == SSL_ERROR_ZERO_RETURN) return 0;
      if (!AwaitTls(count)) return -1;
      continue;
    }
    const ssize_t count = recv(fd_, to, size, 0);
    if (count >= 0) return count;
    if (errno != EINTR && (errno != EAGAIN || !Await(POLLIN))) return -1;
  }
}

ssize_t HttpStream::Send(const char* from, size_t size) {
  while (true) {
    if (session_) {
      ERR_clear_error();
      const int count = SSL_write(session_.get(), from, static_cast<int>(std::min<size_t>(size, 1 << 16)));
      if (count > 0) return count;
      if (!AwaitTls(count)) return -1;
      continue;
    }
    const ssize_t count = send(fd_, from, size, MSG_NOSIGNAL);
    if (count >= 0) return count;
    if (errno != EINTR && (errno != EAGAIN || !Await(POLLOUT))) return -1;
  }
}

ssize_t HttpStream::read(char* to, size_t size) {
  if (next_ == filled_) {
    if (too_large() || SystemClock().MonotonicNanos() > deadline_ns_) return -1;
    const ssize_t count = Receive(buffer_, sizeof(buffer_));
    if (count <= 0) return count;
    read_ += static_cast<size_t>(count);
    if (too_large()) return -1;
    next_ = 0;
    filled_ = static_cast<size_t>(count);
  }
  const size_t taken = std::min(size, filled_ - next_);
  std::memcpy(to, buffer_ + next_, taken);
  next_ += taken;
  return static_cast<ssize_t>(taken);
}

ssize_t HttpStream::write(const char* from, size_t size) {
  if (!answering_) BeginAnswer();
  size_t sent = 0;
  while (sent < size) {
    const ssize_t count = Send(from + sent, size - sent);
    if (count <= 0) return -1;
    sent += static_cast<size_t>(count);
  }
  return static_cast<ssize_t>(sent);
}

void HttpStream::End() {
  if (session_ && SSL_is_init_finished(session_.get())) {
    ERR_clear_error();
    SSL_shutdown(session_.get());
  }
  shutdown(fd_, SHUT_WR);
  deadline_ns_ = In(kGoodbye);
  char dropped[4096];
  for (int i = 0; i < kGoodbyeReads; ++i) {
    const ssize_t count = recv(fd_, dropped, sizeof(dropped), 0);
    if (count == 0 || (count < 0 && (errno != EAGAIN || !Await(POLLIN)))) return;
  }
}

// Nobody asks here who is at the other end.
void HttpStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

void HttpStream::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace trunkload

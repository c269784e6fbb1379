#pragma once

#include <httplib.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "controller/http/https_context.h"

namespace trunkload {

// A connection as httplib reads and writes it, in plain text or TLS. It takes no more bytes and no more time
// for a request than given, however slowly these come, and no more time for an answer. Not thread-safe.
class HttpStream final : public httplib::Stream {
 public:
  static constexpr size_t kMostRequestBytes = 16 * 1024;
  static constexpr absl::Duration kRequestTimeout = absl::Seconds(10);
  static constexpr absl::Duration kAnswerTimeout = absl::Seconds(60);

  // `fd` does not block, and stays the caller's. `session`: null for plain text.
  HttpStream(int fd, SslSession session);

  // TLS' greeting, where there is one. False: it failed, or took too long.
  bool Greet();
  // From here on the time of an answer counts.
  void BeginAnswer();
  // Tells the peer that all is said, and takes what it still sends, for a moment: a connection that is closed
  // with something unread is reset, and the answer may be lost.
  void End();
  bool too_large() const { return read_ > kMostRequestBytes; }
  bool answering() const { return answering_; }

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return fd_; }

 private:
  // -1: failed or too late; 0: the end.
  ssize_t Receive(char* to, size_t size);
  ssize_t Send(const char* from, size_t size);
  bool Await(short events) const;
  // What SSL_… returned, else than success, wants to be waited for; false: nothing, it has failed.
  bool AwaitTls(int result) const;

  const int fd_;
  const SslSession session_;
  int64_t deadline_ns_;
  bool answering_ = false;
  size_t read_ = 0;
  char buffer_[4096];
  size_t next_ = 0;
  size_t filled_ = 0;
};

}  // namespace trunkload

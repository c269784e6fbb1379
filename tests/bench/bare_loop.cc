// bare_loop: the least that a client of PostgreSQL can do. One epoll loop sends the bytes that libpq sends
// for a prepared single insert, and reads the answer, over and over on each connection; it keeps no time,
// counts no row and looks at nothing but the end of an answer. Its cost per transaction is the floor for
// every other client.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace {

using std::literals::operator""sv;

constexpr std::string_view kStartup = "user\0bench\0database\0bench\0"sv;
constexpr std::string_view kPrepare =
    "trunkload_0\0INSERT INTO users (id, name, email) VALUES ($1, $2, $3)\0\0\0"sv;
// Portal, statement, formats of the parameters (id binary), the parameters, format of the result.
constexpr std::string_view kBind =
    "\0trunkload_0\0\0\3\0\1\0\0\0\0\0\3\0\0\0\10\0\0\0\0\0\22\326\207\0\0\0\14user 1234567"
    "\0\0\0\27user1234567@example.com\0\1\0\0"sv;
constexpr std::string_view kDescribe = "P\0"sv;
constexpr std::string_view kExecute = "\0\0\0\0\0"sv;
constexpr std::string_view kReady = "Z\0\0\0\5I"sv;

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::string Length(size_t bytes) {
  const uint32_t wire = htonl(static_cast<uint32_t>(bytes) + 4);
  return std::string(reinterpret_cast<const char*>(&wire), sizeof(wire));
}

std::string Message(char type, std::string_view body) {
  return type + Length(body.size()) + std::string(body);
}

void Send(int fd, std::string_view bytes) {
  if (send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
    Die("bare_loop: send");
}

// Reads until the server is ready for the next command.
void AwaitReady(int fd) {
  std::string got;
  char bytes[4096];
  while (!std::string_view(got).ends_with(kReady)) {
    const ssize_t more = recv(fd, bytes, sizeof(bytes), 0);
    if (more <= 0) Die("bare_loop: the server is gone");
    got.append(bytes, static_cast<size_t>(more));
  }
}

int Connect(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) Die("bare_loop: connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const std::string startup = std::string("\0\3\0\0"sv) + std::string(kStartup) + '\0';
  Send(fd, Length(startup.size()) + startup);
  AwaitReady(fd);
  Send(fd, Message('P', kPrepare) + Message('S', ""));
  AwaitReady(fd);
  return fd;
}

double Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  uint16_t port = 5432;
  int connections = 16;
  double seconds = 5;
  CLI::App app("Prepared single inserts in closed loop, without libpq and without measuring anything");
  app.add_option("--port", port, "Of a server on 127.0.0.1 that asks for no password");
  app.add_option("--connections", connections);
  app.add_option("--seconds", seconds);
  CLI11_PARSE(app, argc, argv);

  const std::string request =
      Message('B', kBind) + Message('D', kDescribe) + Message('E', kExecute) + Message('S', "");
  const int epoll = epoll_create1(0);
  for (int i = 0; i < connections; ++i) {
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.fd = Connect(port);
    epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
    Send(event.data.fd, request);
  }
  std::vector<epoll_event> events(static_cast<size_t>(connections));
  uint64_t transactions = 0;
  char answer[16384];
  const double cpu_before = CpuSeconds();
  const double end = Now() + seconds;
  while (Now() < end) {
    const int ready = epoll_wait(epoll, events.data(), connections, 1000);
    for (int i = 0; i < ready; ++i) {
      const int fd = events[i].data.fd;
      const ssize_t got = recv(fd, answer, sizeof(answer), 0);
      if (got <= 0) Die("bare_loop: the server is gone");
      if (!std::string_view(answer, static_cast<size_t>(got)).ends_with(kReady)) continue;
      ++transactions;
      Send(fd, request);
    }
  }
  std::printf("{\"transactions\": %llu, \"cpu_s\": %.6f}\n", static_cast<unsigned long long>(transactions),
              CpuSeconds() - cpu_before);
  return 0;
}

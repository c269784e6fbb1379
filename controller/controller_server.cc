#include "controller/controller_server.h"

#include <grpcpp/grpcpp.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/message_limits.h"

namespace trunkload {
namespace {

// A peer whose machine died without a word is noticed after the two together.
constexpr int kKeepaliveMs = 5'000;
constexpr int kKeepaliveTimeoutMs = 5'000;
// What calls that are still there get to end, before they are broken off.
constexpr std::chrono::milliseconds kGoodbye{500};

struct HostAndPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostAndPort> Split(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 ||
      port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot listen on ", address, ": an address is HOST:PORT or :PORT, as in 127.0.0.1:7400 or :7400"));
  }
  std::string host = address.substr(0, colon);
  return HostAndPort{host.empty() ? "[::]" : host, absl::StrCat(port)};
}

// gRPC only says that it failed. The system says why when asked for the same.
std::string WhyNot(const HostAndPort& at) {
  std::string host = at.host;
  if (absl::StartsWith(host, "[") && absl::EndsWith(host, "]")) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), at.port.c_str(), &hints, &found); error != 0) {
    return gai_strerror(error);
  }
  std::string why = "the system does not say why";
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1) != 0) {
    why = errno == EADDRINUSE ? "another program listens there" : std::strerror(errno);
  }
  close(fd);
  freeaddrinfo(found);
  return why;
}

}  // namespace

ControllerServer::ControllerServer(const Clock& clock, ControllerThread& controller)
    : fleet_service_(clock, controller), control_service_(controller) {}

ControllerServer::~ControllerServer() {
  if (server_) server_->Shutdown(std::chrono::system_clock::now() + kGoodbye);
}

absl::StatusOr<std::unique_ptr<ControllerServer>> ControllerServer::Listen(const std::string& address,
                                                                           const Clock& clock,
                                                                           ControllerThread& controller) {
  absl::StatusOr<HostAndPort> at = Split(address);
  if (!at.ok()) return at.status();
  std::unique_ptr<ControllerServer> server(new ControllerServer(clock, controller));

  grpc::ServerBuilder builder;
  // Otherwise a second controller shares the port, and agents go to either.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Peers ping as often as this, also between runs when there is nothing to say.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kKeepaliveMs / 5);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.RegisterService(&server->fleet_service_);
  builder.RegisterService(&server->control_service_);
  int port = 0;
  builder.AddListeningPort(absl::StrCat(at->host, ":", at->port), grpc::InsecureServerCredentials(), &port);
  server->server_ = builder.BuildAndStart();
  if (!server->server_ || port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": ", WhyNot(*at),
                                               "; choose another address with --listen"));
  }
  server->address_ = absl::StrCat(at->host, ":", port);
  return server;
}

}  // namespace trunkload

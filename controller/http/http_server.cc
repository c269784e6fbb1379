#include "controller/http/http_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "controller/http/access_rules.h"
#include "controller/http/connection_gate.h"
#include "controller/http/http_stream.h"
#include "controller/http/http_token.h"
#include "controller/http/https_context.h"
#include "controller/http/page_protocol.h"

namespace trunkload {
namespace {

constexpr size_t kMostConnections = 64;
constexpr int kBacklog = 128;

// Of a listening address.
struct HostAndPort {
  std::string host;  // empty: every address of this machine
  std::string port;
};

absl::StatusOr<HostAndPort> Split(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("--http: ", address, " is not HOST:PORT or :PORT, as in 127.0.0.1:7480 or :7480"));
  }
  absl::string_view host = absl::string_view(address).substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return HostAndPort{std::string(host), absl::StrCat(port)};
}

absl::StatusOr<int> ListeningSocket(const HostAndPort& at, const std::string& address) {
  const auto failed = [&address](const std::string& why) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, ": ", why, "; choose another address with --http"));
  };
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const char* host = at.host.empty() ? "::" : at.host.c_str();
  if (const int error = getaddrinfo(host, at.port.c_str(), &hints, &found); error != 0)
    return failed(gai_strerror(error));
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed(std::strerror(errno));
  const int on = 1;
  const int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (at.host.empty()) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, kBacklog) == 0) return fd;
  const std::string why = errno == EADDRINUSE ? "another program listens there" : std::strerror(errno);
  close(fd);
  return failed(why);
}

std::string PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  char port[NI_MAXSERV] = "";
  getnameinfo(reinterpret_cast<sockaddr*>(&address), size, nullptr, 0, port, sizeof(port), NI_NUMERICSERV);
  return port;
}

std::string UrlOf(const std::string& host, const std::string& port, bool https) {
  const std::string shown = host.empty()                   ? "[::]"
                            : absl::StrContains(host, ':') ? absl::StrCat("[", host, "]")
                                                           : host;
  return absl::StrCat(https ? "https://" : "http://", shown, ":", port, "/");
}

// Of a server beyond loopback.
std::string Warning(bool encrypted, bool asks) {
  if (encrypted && asks) return "";
  return absl::StrCat("--insecure: the pages ", encrypted ? "" : "are not encrypted",
                      encrypted || asks ? "" : " and ",
                      asks ? "" : "can be read by anybody who reaches them");
}

}  // namespace

HttpServer::HttpServer() = default;
HttpServer::~HttpServer() = default;

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(const HttpOptions& options,
                                                               ControllerThread& controller) {
  const absl::StatusOr<HostAndPort> at = Split(options.address);
  if (!at.ok()) return at.status();
  const bool loopback = IsLoopbackHost(at->host);
  if (!loopback && !options.insecure && (options.tls_dir.empty() || options.token_file.empty())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--http ", options.address,
        " is reached from other machines: give --tls DIR and --http-token-file FILE, or --insecure "
        "where anybody may read the pages"));
  }
  if (!options.token_file.empty()) {
    if (const auto token = ReadHttpToken(options.token_file); !token.ok()) return token.status();
  }
  std::unique_ptr<HttpServer> server(new HttpServer());
  if (!loopback && !options.tls_dir.empty()) {
    absl::StatusOr<std::unique_ptr<HttpsContext>> https = HttpsContext::Load(options.tls_dir);
    if (!https.ok()) return https.status();
    server->https_ = *std::move(https);
  }
  if (!loopback) server->warning_ = Warning(server->https_ != nullptr, !options.token_file.empty());
  server->protocol_ = std::make_unique<PageProtocol>(loopback, options.token_file, controller);
  const absl::StatusOr<int> listening = ListeningSocket(*at, options.address);
  if (!listening.ok()) return listening.status();
  server->url_ = UrlOf(at->host, PortOf(*listening), server->https_ != nullptr);
  server->gate_ = std::make_unique<ConnectionGate>(
      *listening, kMostConnections,
      [server = server.get()](int fd, absl::FunctionRef<void()> asked) { server->Serve(fd, asked); });
  return server;
}

void HttpServer::Serve(int fd, absl::FunctionRef<void()> asked) {
  SslSession session = https_ ? https_->Accept(fd) : nullptr;
  // Never in plain text by mistake.
  if (https_ && !session) return;
  HttpStream stream(fd, std::move(session));
  if (!stream.Greet()) return;
  protocol_->Serve(stream, asked);
  stream.End();
}

}  // namespace trunkload

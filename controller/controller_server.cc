#include "controller/controller_server.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/host_port.h"
#include "common/message_limits.h"
#include "common/tls/certificate.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/tls_folder.h"

namespace trunkload {
namespace {

// A peer whose machine died without a word is noticed after the two together.
constexpr int kKeepaliveMs = 5'000;
constexpr int kKeepaliveTimeoutMs = 5'000;
constexpr char kHandshakeTimeout[] = "grpc.server_handshake_timeout_ms";
constexpr int kHandshakeMs = 10'000;
constexpr int kIdleMs = 30'000;
// Of one connection; ours have two.
constexpr int kMostCallsOfOne = 64;
constexpr int kMostHeaderBytes = 8 << 10;
// What calls that are still there get to end, before they are broken off.
constexpr std::chrono::milliseconds kGoodbye{500};

absl::StatusOr<HostPort> Split(const std::string& address) {
  const absl::StatusOr<HostPort> at = HostPort::Parse(address);
  if (!at.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot listen on ", address, ": an address is HOST:PORT or :PORT, as in 127.0.0.1:7400 or :7400"));
  }
  return at;
}

std::string TextOf(const HostPort& at) {
  if (at.host.empty()) return absl::StrCat("[::]:", at.port);
  return absl::StrContains(at.host, ':') ? absl::StrCat("[", at.host, "]:", at.port)
                                         : absl::StrCat(at.host, ":", at.port);
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> CredentialsOf(const std::string& tls) {
  if (tls.empty()) return grpc::InsecureServerCredentials();
  const TlsFolder folder(tls);
  const absl::StatusOr<TlsFolder::Material> material = folder.Read(absl::Now());
  if (!material.ok()) return material.status();
  if (material->certificate.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a controller needs a certificate, and there is none in ", folder.certificate_path(),
                     ": `trunkload certs issue NAME --role controller --host HOST` makes one"));
  }
  const absl::StatusOr<Certificate> own = Certificate::Parse(material->certificate);
  if (!own.ok()) return own.status();
  if (!own->roles().Has(Role::kController)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the certificate in ", folder.certificate_path(), " has ", own->roles().Text(),
                     ", and agents trust a controller's only: issue one with --role controller"));
  }
  std::shared_ptr<grpc::ServerCredentials> credentials = ListenCredentials(folder);
  credentials->SetAuthMetadataProcessor(CallerCheck::BeforeMessages());
  return credentials;
}

absl::StatusOr<std::unique_ptr<TokenDesk>> OpenDesk(const std::string& path, const Clock& clock) {
  if (path.empty()) return TokenDesk::Open(clock, nullptr);
  absl::StatusOr<std::unique_ptr<TokenStore>> store = TokenStore::Open(path);
  return store.ok() ? TokenDesk::Open(clock, *std::move(store)) : store.status();
}

}  // namespace

ControllerServer::ControllerServer(bool tls, const Clock& clock, ControllerThread& controller,
                                   std::unique_ptr<TokenDesk> desk, std::unique_ptr<Doorkeeper> door)
    : desk_(std::move(desk)),
      door_(std::move(door)),
      check_(tls, clock, *desk_, *door_),
      fleet_service_({check_, *desk_, clock, controller}),
      control_service_(check_, controller),
      token_service_(check_, *desk_) {}

ControllerServer::~ControllerServer() {
  door_->Stop();
  if (server_) server_->Shutdown(std::chrono::system_clock::now() + kGoodbye);
}

absl::StatusOr<std::unique_ptr<ControllerServer>> ControllerServer::Listen(const Endpoint& endpoint,
                                                                           const Clock& clock,
                                                                           ControllerThread& controller) {
  const absl::StatusOr<HostPort> at = Split(endpoint.address);
  if (!at.ok()) return at.status();
  const absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> credentials = CredentialsOf(endpoint.tls);
  if (!credentials.ok()) return credentials.status();
  absl::StatusOr<std::unique_ptr<TokenDesk>> desk = OpenDesk(endpoint.token_store, clock);
  if (!desk.ok()) return desk.status();
  absl::StatusOr<std::unique_ptr<Doorkeeper>> door = Doorkeeper::Open(*at, {});
  if (!door.ok()) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", endpoint.address, ": ",
                                               door.status().message(),
                                               "; choose another address with --listen"));
  }
  std::unique_ptr<ControllerServer> server(
      new ControllerServer(!endpoint.tls.empty(), clock, controller, *std::move(desk), *std::move(door)));

  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Peers ping as often as this, also between runs when there is nothing to say.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kKeepaliveMs / 5);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Whoever comes and does not say what TLS and HTTP/2 begin with, or nothing after that, has to go again.
  builder.AddChannelArgument(kHandshakeTimeout, kHandshakeMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMostCallsOfOne);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMostHeaderBytes);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.RegisterService(&server->fleet_service_);
  builder.RegisterService(&server->control_service_);
  builder.RegisterService(&server->token_service_);
  server->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, *credentials);
  server->server_ = builder.BuildAndStart();
  if (!server->server_) return absl::InternalError("cannot start the controller's server");
  server->door_->Start([acceptor = server->acceptor_.get()](int listener_fd, int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.listener_fd = listener_fd;
    connection.fd = fd;
    acceptor->HandleNewConnection(&connection);
  });
  server->address_ = TextOf({at->host, server->door_->port()});
  return server;
}

}  // namespace trunkload

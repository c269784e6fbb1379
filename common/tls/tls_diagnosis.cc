#include "common/tls/tls_diagnosis.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/host_port.h"
#include "common/tls/controller_check.h"
#include "common/tls/openssl.h"
#include "common/tls/tls_errors.h"
#include "common/tls/tls_folder.h"

namespace trunkload {
namespace {

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(X509_STORE_CTX* check) const { X509_STORE_CTX_free(check); }
};

// A TCP connection, until a deadline.
class Dialled {
 public:
  Dialled(const std::string& address, absl::Duration timeout) : deadline_(absl::Now() + timeout) {
    const absl::StatusOr<HostPort> at = HostPort::Parse(address);
    if (!at.ok()) return;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(at->host.c_str(), absl::StrCat(at->port).c_str(), &hints, &found) != 0) return;
    const absl::Cleanup free_them = [found] { freeaddrinfo(found); };
    for (const addrinfo* one = found; one != nullptr && fd_ < 0; one = one->ai_next) Connect(*one);
  }
  ~Dialled() {
    if (fd_ >= 0) close(fd_);
  }
  Dialled(const Dialled&) = delete;
  Dialled& operator=(const Dialled&) = delete;

  bool connected() const { return fd_ >= 0; }

  bool Send(const char* bytes, size_t size) {
    while (size > 0) {
      const ssize_t sent = send(fd_, bytes, size, MSG_NOSIGNAL);
      if (sent > 0) {
        bytes += sent;
        size -= static_cast<size_t>(sent);
      } else if (!Again() || !Wait(POLLOUT)) {
        return false;
      }
    }
    return true;
  }
  // 0: the end, or the deadline.
  size_t Receive(char* bytes, size_t size) {
    while (true) {
      const ssize_t received = recv(fd_, bytes, size, 0);
      if (received > 0) return static_cast<size_t>(received);
      if (received == 0 || !Again() || !Wait(POLLIN)) return 0;
    }
  }

 private:
  static bool Again() { return errno == EAGAIN || errno == EINTR; }

  bool Wait(short events) {
    const int64_t left_ms = absl::ToInt64Milliseconds(deadline_ - absl::Now());
    pollfd waiting{fd_, events, 0};
    return left_ms > 0 && poll(&waiting, 1, static_cast<int>(left_ms)) > 0;
  }

  void Connect(const addrinfo& to) {
    fd_ = socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) return;
    int error = 0;
    socklen_t size = sizeof error;
    if (connect(fd_, to.ai_addr, to.ai_addrlen) == 0) return;
    if (errno == EINPROGRESS && Wait(POLLOUT) && getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
        error == 0) {
      return;
    }
    close(fd_);
    fd_ = -1;
  }

  const absl::Time deadline_;
  int fd_ = -1;
};

// The first error in the peer's chain.
struct VerifyError {
  int error = X509_V_OK;
  int depth = 0;
  std::string pem;
};

std::string PemOf(X509* certificate) {
  if (certificate == nullptr) return "";
  const Openssl<BIO> bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return "";
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

int OnVerified(int good, X509_STORE_CTX* store) {
  const auto* ssl =
      static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* found = static_cast<VerifyError*>(SSL_get_app_data(ssl));
  if (good != 1 && found->error == X509_V_OK) {
    found->error = X509_STORE_CTX_get_error(store);
    found->depth = X509_STORE_CTX_get_error_depth(store);
    found->pem = PemOf(X509_STORE_CTX_get_current_cert(store));
  }
  return good;
}

void Trust(SSL_CTX* context, const std::string& authorities) {
  const Openssl<BIO> bio = ReadFrom(authorities);
  while (true) {
    const Openssl<X509> one(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (one == nullptr) break;
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one.get());
  }
  TakeOpensslError();
}

void Show(SSL_CTX* context, const TlsFolder::Material& material) {
  const Openssl<BIO> bio = ReadFrom(material.certificate);
  const Openssl<X509> leaf(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (leaf != nullptr) SSL_CTX_use_certificate(context, leaf.get());
  // Takes it over.
  while (X509* more = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    SSL_CTX_add_extra_chain_cert(context, more);
  const Openssl<BIO> key_bio = ReadFrom(material.key);
  const Openssl<EVP_PKEY> key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  if (key != nullptr) SSL_CTX_use_PrivateKey(context, key.get());
  TakeOpensslError();
}

// Of our own certificate, X509_V_ERR_…: whether our authorities would take it, as those of the controller are
// most likely the same.
int VerifyOwn(const TlsFolder::Material& material) {
  const std::unique_ptr<SSL_CTX, SslFree> context(SSL_CTX_new(TLS_client_method()));
  Trust(context.get(), material.authorities);
  Show(context.get(), material);
  const std::unique_ptr<X509_STORE_CTX, SslFree> check(X509_STORE_CTX_new());
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get_extra_chain_certs(context.get(), &chain);
  X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context.get()),
                      SSL_CTX_get0_certificate(context.get()), chain);
  X509_STORE_CTX_set_default(check.get(), "ssl_client");
  X509_verify_cert(check.get());
  TakeOpensslError();
  return X509_STORE_CTX_get_error(check.get());
}

// TLS over a connection, with what OpenSSL has to send and receive passed on by hand: it would have SIGPIPE
// end the process.
class Handshake {
 public:
  Handshake(Dialled& over, SSL* ssl)
      : over_(over), ssl_(ssl), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
    // Takes them over.
    SSL_set_bio(ssl_, in_, out_);
    SSL_set_connect_state(ssl_);
  }

  // 1 where the peer was taken; otherwise see SSL_get_error.
  int Run() {
    return Drive([this] { return SSL_do_handshake(ssl_); });
  }
  // With TLS 1.3 the peer's verdict comes afterwards, in the place of its first bytes.
  int ReadFirst() {
    char byte;
    return Drive([this, &byte] { return SSL_read(ssl_, &byte, 1); });
  }
  bool answered() const { return answered_; }

 private:
  template <typename Step>
  int Drive(Step step) {
    while (true) {
      ERR_clear_error();
      const int result = step();
      char bytes[4096];
      for (int size; (size = BIO_read(out_, bytes, sizeof bytes)) > 0;) {
        if (!over_.Send(bytes, static_cast<size_t>(size))) return result;
      }
      if (result > 0 || SSL_get_error(ssl_, result) != SSL_ERROR_WANT_READ) return result;
      const size_t received = over_.Receive(bytes, sizeof bytes);
      if (received == 0) return result;
      answered_ = true;
      BIO_write(in_, bytes, static_cast<int>(received));
    }
  }

  Dialled& over_;
  SSL* const ssl_;
  BIO* const in_;
  BIO* const out_;
  bool answered_ = false;
};

std::unique_ptr<SSL, SslFree> NewSsl(SSL_CTX* context, const std::string& host) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  std::unique_ptr<SSL, SslFree> ssl(SSL_new(context));
  static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl.get(), kHttp2, sizeof kHttp2);
  SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  return ssl;
}

int LastTlsReason() {
  const unsigned long error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
}

// What came of shaking hands with the controller.
struct Outcome {
  bool connected = false;
  bool answered = false;  // with anything at all
  bool taken = false;     // by us
  bool speaks = false;    // it took us too, and went on in HTTP/2
  VerifyError error;      // why it was not taken
  int reason = 0;         // OpenSSL's, for the rest
  std::string peer;       // its certificate
};

Outcome ShakeHands(const std::string& address, const std::string& server_name,
                   const TlsFolder::Material& material, absl::Duration timeout) {
  Outcome outcome;
  Dialled connection(address, timeout);
  outcome.connected = connection.connected();
  if (!outcome.connected) return outcome;
  const std::unique_ptr<SSL_CTX, SslFree> context(SSL_CTX_new(TLS_client_method()));
  Trust(context.get(), material.authorities);
  if (!material.certificate.empty()) Show(context.get(), material);
  const std::unique_ptr<SSL, SslFree> ssl = NewSsl(context.get(), server_name);
  SSL_set_app_data(ssl.get(), &outcome.error);
  SSL_set_verify(ssl.get(), SSL_VERIFY_PEER, OnVerified);
  Handshake handshake(connection, ssl.get());
  outcome.taken = handshake.Run() == 1;
  if (outcome.taken) {
    const Openssl<X509> peer(SSL_get1_peer_certificate(ssl.get()));
    outcome.peer = PemOf(peer.get());
    outcome.speaks = handshake.ReadFirst() > 0;
  }
  outcome.reason = LastTlsReason();
  outcome.answered = handshake.answered();
  return outcome;
}

std::string DiagnoseTls(const std::string& address, const std::string& server_name,
                        const TlsFolder::Material& material, absl::Duration timeout) {
  const Outcome outcome = ShakeHands(address, server_name, material, timeout / 2);
  if (!outcome.connected) return "";
  if (std::string why = ExplainVerifyError(outcome.error.error, outcome.error.depth, outcome.error.pem);
      !why.empty())
    return why;
  if (outcome.taken) {
    if (const absl::Status status = CheckController(outcome.peer, server_name); !status.ok())
      return absl::StrCat("who answers is not the controller that was meant: ", status.message());
  }
  if (outcome.speaks) return "";
  if (std::string why = ExplainTlsError(outcome.reason, !material.certificate.empty()); !why.empty())
    return why;
  // It did not take what TLS begins with.
  if (!outcome.answered)
    return "what listens there breaks off before TLS begins: it speaks plain text, or can't use its own "
           "certificate";
  // gRPC hangs up without a word on whose certificate it does not take.
  if (!outcome.taken || material.certificate.empty()) return "";
  const TlsFolder::Material nobody{material.authorities, "", ""};
  if (!ShakeHands(address, server_name, nobody, timeout / 2).speaks) return "";
  return ExplainRefusal(VerifyOwn(material));
}

std::string DiagnosePlainText(const std::string& address, absl::Duration timeout) {
  Dialled connection(address, timeout);
  if (!connection.connected()) return "";
  const std::unique_ptr<SSL_CTX, SslFree> context(SSL_CTX_new(TLS_client_method()));
  const std::unique_ptr<SSL, SslFree> ssl = NewSsl(context.get(), "");
  Handshake handshake(connection, ssl.get());
  return handshake.Run() == 1 ? "the controller there speaks TLS only: show a certificate with --tls DIR"
                              : "";
}

}  // namespace

std::string Diagnose(const std::string& address, const Transport& transport, absl::Duration timeout) {
  if (transport.tls.empty()) return DiagnosePlainText(address, timeout);
  const absl::StatusOr<TlsFolder::Material> material = TlsFolder(transport.tls).Read(absl::Now());
  if (!material.ok()) return std::string(material.status().message());
  return DiagnoseTls(address, transport.ServerName(address), *material, timeout);
}

}  // namespace trunkload

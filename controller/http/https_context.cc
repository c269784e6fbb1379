#include "controller/http/https_context.h"

#include <openssl/err.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

constexpr char kCertificate[] = "tls.crt";
constexpr char kKey[] = "tls.key";

absl::Status Unusable(const std::string& file, const std::string& what) {
  // The newest error is the outermost one.
  const unsigned long error = ERR_peek_last_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  ERR_clear_error();
  return absl::InvalidArgumentError(
      absl::StrCat(file, ": ", what, reason == nullptr ? "" : absl::StrCat(" (", reason, ")")));
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpsContext>> HttpsContext::Load(const std::string& folder) {
  std::unique_ptr<HttpsContext> https(new HttpsContext(folder));
  const std::string stamp = https->Stamp();
  absl::StatusOr<Context> context = https->Read();
  if (!context.ok()) return context.status();
  absl::MutexLock lock(&https->mutex_);
  https->context_ = *std::move(context);
  https->stamp_ = stamp;
  return https;
}

absl::StatusOr<HttpsContext::Context> HttpsContext::Read() const {
  const std::string certificate = absl::StrCat(folder_, "/", kCertificate);
  const std::string key = absl::StrCat(folder_, "/", kKey);
  for (const std::string& file : {certificate, key}) {
    if (access(file.c_str(), R_OK) != 0)
      return absl::UnavailableError(absl::StrCat("cannot read ", file, ": ", std::strerror(errno)));
  }
  Context context(SSL_CTX_new(TLS_server_method()));
  if (!context) return absl::ResourceExhaustedError("no memory for TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Each connection has one request.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  // Nobody is there to be asked.
  SSL_CTX_set_default_passwd_cb(context.get(), [](char*, int, int, void*) { return -1; });
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1)
    return Unusable(certificate, "no certificate in PEM");
  if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return Unusable(key, absl::StrCat("not the key in PEM, without a passphrase, of ", kCertificate));
  }
  return context;
}

std::string HttpsContext::Stamp() const {
  std::string stamp;
  for (const char* name : {kCertificate, kKey}) {
    struct stat of {};
    if (stat(absl::StrCat(folder_, "/", name).c_str(), &of) != 0) continue;
    absl::StrAppend(&stamp, of.st_ino, " ", of.st_mtim.tv_sec, " ", of.st_mtim.tv_nsec, " ", of.st_size,
                    "\n");
  }
  return stamp;
}

SslSession HttpsContext::Accept(int fd) {
  absl::MutexLock lock(&mutex_);
  if (std::string stamp = Stamp(); stamp != stamp_) {
    // Before: what changes while they are read is read next time.
    stamp_ = std::move(stamp);
    if (absl::StatusOr<Context> context = Read(); context.ok()) context_ = *std::move(context);
  }
  SslSession session(SSL_new(context_.get()));
  if (session) SSL_set_fd(session.get(), fd);
  return session;
}

}  // namespace trunkload

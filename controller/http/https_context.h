#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace trunkload {

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslSession = std::unique_ptr<SSL, FreeSsl>;

// The controller's certificate for HTTPS: `tls.crt` and `tls.key` of a folder. They are read again when they
// have changed; as long as what is there then can't be used, the ones before stay. TLS 1.2 or later.
// Thread-safe.
class HttpsContext {
 public:
  // UNAVAILABLE or INVALID_ARGUMENT with what is wrong with them.
  static absl::StatusOr<std::unique_ptr<HttpsContext>> Load(const std::string& folder);

  // For a connection that was accepted on `fd`, which it does not own.
  SslSession Accept(int fd);

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  using Context = std::unique_ptr<SSL_CTX, FreeContext>;

  explicit HttpsContext(std::string folder) : folder_(std::move(folder)) {}
  absl::StatusOr<Context> Read() const;
  // Changes when one of the files does.
  std::string Stamp() const;

  const std::string folder_;
  absl::Mutex mutex_;
  Context context_ ABSL_GUARDED_BY(mutex_);
  std::string stamp_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace trunkload

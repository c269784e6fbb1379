#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace trunkload {

// The folder that --tls names: `ca.crt`, the authorities that are trusted, and `tls.crt` with `tls.key`, who
// one is oneself. All of it is PEM.
class TlsFolder {
 public:
  explicit TlsFolder(std::string path) : path_(std::move(path)) {}

  struct Material {
    std::string authorities;
    std::string certificate;  // with the chain, if any; empty where there is none
    std::string key;
  };
  // Reads all and looks whether it can be used now, by itself: INVALID_ARGUMENT where a file is not there,
  // can't be read or holds something else, FAILED_PRECONDITION where the key is another certificate's, or the
  // time of the certificate has not come or is over. One sentence, which names the file.
  absl::StatusOr<Material> Read(absl::Time now) const;

  const std::string& path() const { return path_; }
  std::string authorities_path() const { return path_ + "/ca.crt"; }
  std::string certificate_path() const { return path_ + "/tls.crt"; }
  std::string key_path() const { return path_ + "/tls.key"; }

 private:
  std::string path_;
};

}  // namespace trunkload

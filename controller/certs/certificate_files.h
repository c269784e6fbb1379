#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controller/certs/authority.h"

namespace trunkload {

// A folder with a private authority, `ca.crt` and `ca.key`, and below it a TlsFolder for each whom it has
// issued a certificate. Keys are this user's alone.
class CertificateFiles {
 public:
  // `force`: files that are there already are replaced; otherwise that is FAILED_PRECONDITION.
  CertificateFiles(std::string folder, bool force) : folder_(std::move(folder)), force_(force) {}

  absl::Status MakeAuthority(absl::Time from, absl::Time to) const;
  // The TlsFolder's path. Nothing is valid for longer than the authority.
  absl::StatusOr<std::string> Issue(Authority::Request request) const;

 private:
  absl::Status MakeFolder(const std::string& path) const;
  // Whole, or not at all.
  absl::Status Write(const std::string& path, const std::string& text, unsigned int mode) const;

  const std::string folder_;
  const bool force_;
};

}  // namespace trunkload

#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tls/role.h"

namespace trunkload {

// Keys and certificates as texts in PEM.
struct KeyAndCertificate {
  std::string key;
  std::string certificate;
};

// A private authority: signs the certificates of one controller's fleet and of those who use it. Keys are on
// the curve P-256; serial numbers are 128 random bits.
class Authority {
 public:
  // A new one, which signs itself and nothing below but certificates that sign nothing.
  static absl::StatusOr<KeyAndCertificate> Make(absl::Time from, absl::Time to);
  // INVALID_ARGUMENT where that is no authority with its key.
  static absl::StatusOr<Authority> Read(KeyAndCertificate own);

  struct Request {
    std::string name;  // the common name
    Role role = Role::kAgent;
    std::vector<std::string> hosts;  // names and addresses that it is for
    absl::Time from;
    absl::Time to;
  };
  // INVALID_ARGUMENT with a sentence where a name can't be in a certificate, or a controller's has no host.
  absl::StatusOr<KeyAndCertificate> Issue(const Request& request) const;

  const std::string& certificate() const { return own_.certificate; }

 private:
  explicit Authority(KeyAndCertificate own) : own_(std::move(own)) {}

  KeyAndCertificate own_;
};

}  // namespace trunkload

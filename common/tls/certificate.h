#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/tls/role.h"

namespace trunkload {

// What is read of an X.509 certificate. Nothing here says whether anybody trusts it.
struct Certificate {
  std::string name;  // the common name
  std::vector<std::string> organizations;
  std::string issuer;                  // its common name
  std::vector<std::string> dns_names;  // what it is for, beside addresses
  std::vector<std::string> addresses;
  absl::Time not_before;
  absl::Time not_after;
  bool authority = false;
  bool for_servers = false;  // may be shown by the side that listens
  bool for_clients = false;

  // The first one in `pem`. INVALID_ARGUMENT where there is none.
  static absl::StatusOr<Certificate> Parse(absl::string_view pem);
  // Those of its organizations. Where it has none, its name stands for one: Helm's functions write no
  // organization into a subject.
  Roles roles() const;
  // FAILED_PRECONDITION where it has expired or is not valid yet: a part of a sentence.
  absl::Status CheckTime(absl::Time now) const;
  // The names and addresses that it is for.
  std::string Hosts() const;
};

// FAILED_PRECONDITION where the first certificate in `pem` is not for that name or address: a sentence.
absl::Status CheckHost(absl::string_view pem, const std::string& host);

// `2026-01-02 03:04:05 UTC`
std::string TimeText(absl::Time time);

}  // namespace trunkload

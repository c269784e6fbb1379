// issue_certificate DIR NAME ROLE FROM_S TO_S [HOST]...: as `trunkload certs issue`, but valid from and to so
// many seconds from now; the authority is made where there is none.
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "controller/certs/certificate_files.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  int64_t from_s = 0;
  int64_t to_s = 0;
  const auto role = arguments.size() < 5 ? std::nullopt : trunkload::RoleNamed(arguments[2]);
  if (!role || !absl::SimpleAtoi(arguments[3], &from_s) || !absl::SimpleAtoi(arguments[4], &to_s)) {
    std::cerr << "usage: issue_certificate DIR NAME ROLE FROM_S TO_S [HOST]...\n";
    return 2;
  }
  const absl::Time now = absl::Now();
  const trunkload::CertificateFiles files(arguments[0], /*force=*/false);
  // Fails where there is one.
  files.MakeAuthority(now - absl::Hours(1000), now + absl::Hours(1000)).IgnoreError();
  const auto made = trunkload::CertificateFiles(arguments[0], /*force=*/true)
                        .Issue({.name = arguments[1],
                                .role = *role,
                                .hosts = {arguments.begin() + 5, arguments.end()},
                                .from = now + absl::Seconds(from_s),
                                .to = now + absl::Seconds(to_s)});
  if (!made.ok()) {
    std::cerr << made.status() << '\n';
    return 1;
  }
  std::cout << *made << '\n';
  return 0;
}

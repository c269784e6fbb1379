#pragma once

#include <string>

#include "absl/status/status.h"

namespace trunkload {

// How a controller is talked to, as somebody has said on a command line: with TLS, or in plain text.
struct Transport {
  std::string tls;              // a TlsFolder's path; empty: plain text
  std::string tls_server_name;  // in the controller's certificate, where it is not the host that is dialled
  bool insecure = false;        // plain text beyond this machine too

  // What nobody has said comes from the environment.
  void TakeEnvironment();
  // The name or address that the controller's certificate must have.
  std::string ServerName(const std::string& address) const;

  // INVALID_ARGUMENT where `address` is no HOST:PORT, is beyond this machine and neither TLS nor --insecure
  // was asked for, or both were.
  absl::Status CheckDial(const std::string& address) const;
  // The same of an address to listen on, which may lack its HOST.
  absl::Status CheckListen(const std::string& address) const;
};

// What every start with --insecure says.
inline constexpr char kInsecureWarning[] =
    "--insecure: nothing is encrypted on the way between controller, agents and command lines, and "
    "nobody is checked";

}  // namespace trunkload

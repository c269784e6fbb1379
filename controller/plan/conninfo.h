#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace trunkload {

// Whether libpq understands a connection string or URI. The error never shows what may be a password.
absl::Status CheckConninfo(const std::string& conninfo);

// Whether a database is named by more than its name, as libpq tells it: by a connection string or URI.
bool IsConninfo(const std::string& database);

struct ConninfoDefaults {
  std::string host;
  std::string port;
  std::string user;
};
// The connection string of a database that is named as psql and pgbench let it be named: by its name, or by a
// connection string or URI; with what that doesn't say. It is as it was where libpq doesn't understand it.
std::string ConninfoFor(const std::string& database, const ConninfoDefaults& defaults);

// What the target's sessions call themselves, where it says so; else empty.
std::string ApplicationNameOf(const std::string& conninfo);

// The connection string once for each host it names, that one first and the others after it in their order;
// none where libpq doesn't understand it.
std::vector<std::string> ConninfosByHost(const std::string& conninfo);

// What of a connection string or URI nobody else is to know. Nothing where libpq doesn't understand it.
struct ConninfoSecrets {
  std::optional<std::string> password;
  // The passphrase of the client's key, which libpq takes from no environment variable.
  bool has_key_password = false;

  bool any() const { return password || has_key_password; }
};
ConninfoSecrets SecretsOf(const std::string& conninfo);

// Whether a text, which may be anything, looks as though a password were in it.
bool MayHoldPassword(absl::string_view text);

// A connection string without its passwords: as it is where it has none, else written anew as key=value
// pairs. Empty where libpq doesn't understand it.
std::string RedactedConninfo(const std::string& conninfo);

}  // namespace trunkload

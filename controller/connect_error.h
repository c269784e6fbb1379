#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace trunkload {

// Where a connection was to go. Never holds a password.
struct ConnectTarget {
  std::string host;
  std::string port;
  std::string database;
  std::string user;
};

// One sentence on a connection that could not be opened: where to, what libpq said, and what to check.
std::string ConnectErrorText(const ConnectTarget& target, absl::string_view libpq_message);

// `text` on one line, without what libpq puts before and after a message ("FATAL:", the host again, hints),
// and with `password` masked should it be in there.
std::string OneLine(absl::string_view text, absl::string_view password = "");

}  // namespace trunkload

#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace trunkload {

// What lets an agent in that has no certificate: an id, which may be known, and a secret, of which only a
// hash is kept. As text: `trunkload-token.ID.SECRET`.
struct JoinToken {
  std::string id;      // 12 hexadecimal digits
  std::string secret;  // 64 hexadecimal digits

  // A new one, from the system's random numbers.
  static JoinToken Draw();
  // Nothing where the text is not of that form. Whitespace around it is passed over.
  static std::optional<JoinToken> Parse(absl::string_view text);
  std::string Text() const;
  // SHA-256 of the secret: 32 bytes. With 256 random bits in it, nobody finds the secret from it.
  std::string Hash() const;
};

// Takes the same time wherever the two differ.
bool SameHash(absl::string_view a, absl::string_view b);

}  // namespace trunkload

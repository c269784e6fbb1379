#include "controller/access/join_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace trunkload {
namespace {

constexpr absl::string_view kPrefix = "trunkload-token";
constexpr size_t kIdBytes = 6;
constexpr size_t kSecretBytes = 32;

std::string RandomHex(size_t bytes) {
  std::string random(bytes, '\0');
  // Without random numbers there is nothing to go on with.
  if (RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), static_cast<int>(bytes)) != 1) std::abort();
  return absl::BytesToHexString(random);
}

bool IsHex(absl::string_view text, size_t bytes) {
  return text.size() == 2 * bytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

JoinToken JoinToken::Draw() {
  return {RandomHex(kIdBytes), RandomHex(kSecretBytes)};
}

std::optional<JoinToken> JoinToken::Parse(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(absl::StripAsciiWhitespace(text), '.');
  if (parts.size() != 3 || parts[0] != kPrefix || !IsHex(parts[1], kIdBytes) ||
      !IsHex(parts[2], kSecretBytes))
    return std::nullopt;
  return JoinToken{std::string(parts[1]), std::string(parts[2])};
}

std::string JoinToken::Text() const {
  return absl::StrCat(kPrefix, ".", id, ".", secret);
}

std::string JoinToken::Hash() const {
  std::string hash(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  EVP_Digest(secret.data(), secret.size(), reinterpret_cast<unsigned char*>(hash.data()), &size, EVP_sha256(),
             nullptr);
  hash.resize(size);
  return hash;
}

bool SameHash(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace trunkload

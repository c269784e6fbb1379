#include "controller/http/access_rules.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace trunkload {
namespace {

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

Digest DigestOf(absl::string_view text) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

// Takes as long whatever the difference, length included.
bool SameSecret(absl::string_view a, absl::string_view b) {
  const Digest of_a = DigestOf(a);
  const Digest of_b = DigestOf(b);
  return CRYPTO_memcmp(of_a.data(), of_b.data(), of_a.size()) == 0;
}

// As Bearer, or as the password of Basic.
bool HasToken(absl::string_view authorization, const std::string& token) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(authorization, absl::MaxSplits(' ', 1));
  const absl::string_view value = absl::StripAsciiWhitespace(parts.second);
  if (absl::EqualsIgnoreCase(parts.first, "Bearer")) return SameSecret(value, token);
  if (!absl::EqualsIgnoreCase(parts.first, "Basic")) return false;
  std::string decoded;
  if (!absl::Base64Unescape(value, &decoded)) return false;
  const size_t colon = decoded.find(':');
  return colon != std::string::npos && SameSecret(absl::string_view(decoded).substr(colon + 1), token);
}

// Of HOST or HOST:PORT, without the brackets of an IPv6 address.
absl::string_view HostOf(absl::string_view authority) {
  if (absl::StartsWith(authority, "[")) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.find(':'));
}

bool IsOwnOrigin(absl::string_view origin, absl::string_view host) {
  if (!absl::ConsumePrefix(&origin, "http://") && !absl::ConsumePrefix(&origin, "https://")) return false;
  return absl::EqualsIgnoreCase(origin, host);
}

}  // namespace

bool IsLoopbackHost(absl::string_view host) {
  if (absl::EqualsIgnoreCase(host, "localhost") || host == "::1") return true;
  const std::vector<absl::string_view> bytes = absl::StrSplit(host, '.');
  int value = 0;
  return bytes.size() == 4 && bytes[0] == "127" &&
         std::all_of(bytes.begin(), bytes.end(), [&value](absl::string_view byte) {
           return !byte.empty() && byte.size() <= 3 && absl::ascii_isdigit(byte[0]) &&
                  absl::SimpleAtoi(byte, &value) && value <= 255;
         });
}

std::optional<HttpRefusal> CheckHttpAccess(const HttpAsk& ask, const HttpRules& rules) {
  if (ask.method != "GET") return HttpRefusal{405, "these pages can only be read: GET"};
  if (ask.has_body) return HttpRefusal{413, "a request with a body is not taken"};
  if (ask.path == kHealthPath) return std::nullopt;
  if (!ask.host || ask.host->empty()) return HttpRefusal{400, "the Host header is missing"};
  if (rules.loopback && !IsLoopbackHost(HostOf(*ask.host)))
    return HttpRefusal{403, "these pages are for this machine: use localhost or 127.0.0.1 for its name"};
  if (ask.sec_fetch_site && absl::EqualsIgnoreCase(*ask.sec_fetch_site, "cross-site"))
    return HttpRefusal{403, "another site has sent this request: type the address into the browser"};
  if (ask.origin && !IsOwnOrigin(*ask.origin, *ask.host))
    return HttpRefusal{403, "another site has sent this request"};
  if (rules.token && !HasToken(ask.authorization.value_or(""), *rules.token)) {
    return HttpRefusal{401, "a token is needed: as Bearer, or as the password of any user"};
  }
  return std::nullopt;
}

}  // namespace trunkload

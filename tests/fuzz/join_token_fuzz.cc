#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "controller/access/join_token.h"
#include "controller/access/join_tokens.h"
#include "controller/access/peer_address.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto token = trunkload::JoinToken::Parse(text);
  if (token) FUZZ_CHECK(token->Text() == absl::StripAsciiWhitespace(text), text);
  // One text alone is that of a token that is known.
  const trunkload::JoinToken known{"0123456789ab", std::string(64, '7')};
  trunkload::TokenRecord record;
  record.id = known.id;
  record.hash = known.Hash();
  const trunkload::JoinTokens tokens({record});
  const bool is_known = absl::StripAsciiWhitespace(text) == known.Text();
  FUZZ_CHECK(tokens.Identify(text).ok() == is_known, text);
  trunkload::AddressOfPeer(text);
  return 0;
}

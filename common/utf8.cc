#include "common/utf8.h"

namespace trunkload {

Utf8Character FirstCharacter(absl::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
  uint32_t code = lead & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  // Longer than need be, half of a pair, or past the end of Unicode.
  const bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  if (overlong || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return {};
  return {code, bytes};
}

bool IsControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f);
}

std::string OneLine(absl::string_view text, size_t most_bytes) {
  std::string line;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = FirstCharacter(text.substr(at));
    const bool as_it_is = character.bytes > 0 && !IsControl(character.code);
    if (line.size() + (as_it_is ? character.bytes : 1) > most_bytes) break;
    if (as_it_is) {
      line.append(text.data() + at, character.bytes);
    } else {
      line += character.bytes > 0 ? ' ' : '?';
    }
    at += character.bytes > 0 ? character.bytes : 1;
  }
  return line;
}

}  // namespace trunkload

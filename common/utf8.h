#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace trunkload {

struct Utf8Character {
  uint32_t code = 0;
  size_t bytes = 0;  // 0: not UTF-8
};

// The first character of a text that is not empty.
Utf8Character FirstCharacter(absl::string_view text);

// Those that a terminal may obey: below a blank, and 0x7f to 0x9f.
bool IsControl(uint32_t code);

// What somebody else wrote, fit for a terminal, a log and a proto: control characters (newlines too) become
// blanks and bytes that are no UTF-8 become '?'. Cut between characters where it would take more than
// `most_bytes`.
std::string OneLine(absl::string_view text, size_t most_bytes);

}  // namespace trunkload

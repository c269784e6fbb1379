#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace trunkload {

// A name for one case of a parameterised test: its number, which makes it the only one, and the words of a text that tells
// it from others. GoogleTest takes letters, digits and underscores.
inline std::string NameInWords(size_t number, absl::string_view text) {
  constexpr size_t kLongest = 60;
  std::string words;
  for (const char c : text) {
    if (words.size() == kLongest) break;
    if (absl::ascii_isalnum(static_cast<unsigned char>(c))) {
      words += c;
    } else if (!words.empty() && words.back() != '_') {
      words += '_';
    }
  }
  return absl::StrCat(number, "_", words);
}

}  // namespace trunkload

#include "controller/plan/plan_text.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace trunkload {
namespace {

// Longer words are not typing mistakes of a name, and the distance takes the product of both lengths.
constexpr size_t kLongestWord = 64;
constexpr size_t kLongestShown = 80;

// Levenshtein's: letters to insert, delete or replace.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// BUILTIN_ for enum Builtin, KEY_DISTRIBUTION_ for enum KeyDistribution.
std::string EnumPrefix(const google::protobuf::EnumDescriptor& type) {
  std::string prefix;
  for (const char letter : type.name()) {
    if (absl::ascii_isupper(letter) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(letter);
  }
  return prefix + '_';
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  constexpr absl::string_view kExpected = "expected a duration such as 250us, 5ms, 3s, 10m or 1h";
  absl::Duration duration;
  // absl takes a bare 0, too; here every duration has a unit.
  if (!absl::ParseDuration(text, &duration) || text.empty() || !absl::ascii_isalpha(text.back())) {
    double number;
    const bool no_unit = absl::SimpleAtod(text, &number) && std::isfinite(number);
    return absl::InvalidArgumentError(
        absl::StrCat(no_unit ? "a duration without a unit; " : "not a duration; ", kExpected));
  }
  if (duration < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat("a negative duration; ", kExpected));
  }
  if (duration >= absl::Hours(24 * 365 * 1000)) {
    return absl::InvalidArgumentError(absl::StrCat("too long a duration; ", kExpected));
  }
  return absl::Trunc(duration, absl::Nanoseconds(1));
}

std::string DurationText(absl::Duration duration) {
  return duration == absl::ZeroDuration() ? "0s" : absl::FormatDuration(duration);
}

absl::StatusOr<double> ParseRate(absl::string_view text) {
  double unit_per_s = 1;
  absl::string_view number = text;
  if (absl::ConsumeSuffix(&number, "/min")) {
    unit_per_s = 60;
  } else if (absl::ConsumeSuffix(&number, "/h")) {
    unit_per_s = 3600;
  } else {
    absl::ConsumeSuffix(&number, "/s");
  }
  double rate;
  if (!absl::SimpleAtod(number, &rate) || !std::isfinite(rate)) {
    return absl::InvalidArgumentError("not a rate; expected a number with /s, /min or /h, such as 2000/s");
  }
  return rate / unit_per_s;
}

std::string EnumText(const google::protobuf::EnumValueDescriptor& value) {
  absl::string_view name = value.name();
  absl::ConsumePrefix(&name, EnumPrefix(*value.type()));
  return absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"_", "-"}});
}

std::vector<std::string> EnumTexts(const google::protobuf::EnumDescriptor& type) {
  std::vector<std::string> texts;
  for (int i = 0; i < type.value_count(); ++i) {
    // Value 0 stands for an absent field and can't be written.
    if (type.value(i)->number() != 0) texts.push_back(EnumText(*type.value(i)));
  }
  return texts;
}

const google::protobuf::EnumValueDescriptor* FindEnumValue(const google::protobuf::EnumDescriptor& type,
                                                           absl::string_view text) {
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0 && EnumText(*type.value(i)) == text) return type.value(i);
  }
  return nullptr;
}

std::string ShownText(absl::string_view text) {
  return absl::StrCat(absl::CHexEscape(text.substr(0, kLongestShown)),
                      text.size() > kLongestShown ? "..." : "");
}

std::string QuotedText(absl::string_view text) {
  return absl::StrCat("'", ShownText(text), "'");
}

std::string DidYouMean(absl::string_view wrong, const std::vector<std::string>& known) {
  if (wrong.empty() || wrong.size() > kLongestWord) return "";
  const std::string lower = absl::AsciiStrToLower(wrong);
  const std::string* nearest = nullptr;
  size_t nearest_distance = 0;
  for (const std::string& word : known) {
    const size_t distance = EditDistance(lower, word);
    if (nearest == nullptr || distance < nearest_distance) {
      nearest = &word;
      nearest_distance = distance;
    }
  }
  // More than half of the letters wrong is another word.
  if (nearest == nullptr || nearest_distance * 2 > std::max(nearest->size(), size_t{2})) return "";
  return absl::StrCat("; did you mean '", *nearest, "'?");
}

}  // namespace trunkload

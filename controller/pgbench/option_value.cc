#include "controller/pgbench/option_value.h"

#include <climits>
#include <cmath>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "controller/plan/plan_text.h"

namespace trunkload {

absl::StatusOr<int64_t> OptionValue::WholeNumber(int64_t low, int64_t high) const {
  int64_t number = 0;
  if (absl::SimpleAtoi(text_, &number) && number >= low && number <= high) return number;
  return WrongOption(option_, " is a whole number from ", low, " to ", high, ", not \"", text_, "\"");
}

absl::Status OptionValue::Positive(absl::string_view what, double& to) const {
  double number = 0;
  if (!absl::SimpleAtod(text_, &number) || !(number > 0) || !std::isfinite(number)) {
    return WrongOption(option_, " is ", what, " above 0, not \"", text_, "\"");
  }
  to = number;
  return absl::OkStatus();
}

absl::Status OptionValue::Share(double& to) const {
  double number = 0;
  if (!absl::SimpleAtod(text_, &number) || !(number > 0 && number <= 1)) {
    return WrongOption(option_, " is above 0 and at most 1, not \"", text_, "\"");
  }
  to = number;
  return absl::OkStatus();
}

absl::StatusOr<int> OptionValue::NumberOf(const google::protobuf::EnumDescriptor& type) const {
  const google::protobuf::EnumValueDescriptor* found = FindEnumValue(type, text_);
  if (found != nullptr) return found->number();
  return WrongOption(option_, " is one of ", absl::StrJoin(EnumTexts(type), ", "), ", not \"", text_, "\"");
}

absl::Status OptionValue::Seed(std::optional<uint64_t>& to) const {
  uint64_t seed = 0;
  if (text_ == "time") {
    seed = static_cast<uint64_t>(absl::GetCurrentTimeNanos());
  } else if (text_ == "rand") {
    std::random_device device;
    seed = uint64_t{device()} << 32 | device();
  } else if (!absl::SimpleAtoi(text_, &seed)) {
    return WrongOption(option_, " is \"time\", \"rand\" or a whole number, not \"", text_, "\"");
  }
  to = seed;
  return absl::OkStatus();
}

absl::Status OptionValue::Definition(std::map<std::string, std::string>& to) const {
  const size_t equals = text_.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text_.size()) {
    return WrongOption(option_, " defines a variable as NAME=VALUE, not as \"", text_, "\"");
  }
  to[text_.substr(0, equals)] = text_.substr(equals + 1);
  return absl::OkStatus();
}

absl::StatusOr<OptionValue::Weighted> OptionValue::NameAndWeight() const {
  const size_t at = text_.rfind('@');
  if (at == std::string::npos) return Weighted{text_, 1};
  int64_t weight = 0;
  const std::string written = text_.substr(at + 1);
  if (!absl::SimpleAtoi(written, &weight) || weight < 0 || weight > INT_MAX) {
    return WrongOption("a script's weight is a whole number from 0 to ", INT_MAX, ", not \"", written, "\"");
  }
  return Weighted{text_.substr(0, at), static_cast<uint64_t>(weight)};
}

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"

namespace trunkload {

template <typename... Parts>
absl::Status WrongOption(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// The value of one option, and what it is taken for. Errors are INVALID_ARGUMENT with a sentence that has the
// option as it was written.
class OptionValue {
 public:
  OptionValue(std::string option, std::string text) : option_(std::move(option)), text_(std::move(text)) {}

  const std::string& option() const { return option_; }
  const std::string& text() const { return text_; }

  // From `low` to `high`, both of which fit into a Number.
  template <typename Number>
  absl::Status Whole(int64_t low, int64_t high, Number& to) const {
    const absl::StatusOr<int64_t> number = WholeNumber(low, high);
    if (number.ok()) to = static_cast<Number>(*number);
    return number.status();
  }
  // A number above 0; `what`: "a number of milliseconds".
  absl::Status Positive(absl::string_view what, double& to) const;
  // Above 0 and at most 1.
  absl::Status Share(double& to) const;
  template <typename Enum>
  absl::Status Choice(const google::protobuf::EnumDescriptor& type, Enum& to) const {
    const absl::StatusOr<int> number = NumberOf(type);
    if (number.ok()) to = static_cast<Enum>(*number);
    return number.status();
  }
  // "time", "rand" or the seed itself.
  absl::Status Seed(std::optional<uint64_t>& to) const;
  // NAME=VALUE
  absl::Status Definition(std::map<std::string, std::string>& to) const;

  struct Weighted {
    std::string name;
    uint64_t weight;
  };
  // NAME or NAME@WEIGHT
  absl::StatusOr<Weighted> NameAndWeight() const;

 private:
  absl::StatusOr<int64_t> WholeNumber(int64_t low, int64_t high) const;
  absl::StatusOr<int> NumberOf(const google::protobuf::EnumDescriptor& type) const;

  const std::string option_;
  const std::string text_;
};

}  // namespace trunkload

#include "common/script/variables.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace trunkload {

bool VariableNames::IsStart(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return absl::ascii_isalpha(byte) || byte == '_' || byte >= 0x80;
}

bool VariableNames::IsPart(char c) {
  return IsStart(c) || absl::ascii_isdigit(static_cast<unsigned char>(c));
}

uint32_t VariableNames::Number(std::string_view name) {
  const auto [entry, is_new] = numbers_.try_emplace(std::string(name), static_cast<uint32_t>(names_.size()));
  if (is_new) names_.emplace_back(name);
  return entry->second;
}

std::optional<uint32_t> VariableNames::Find(std::string_view name) const {
  const auto found = numbers_.find(absl::string_view(name.data(), name.size()));
  if (found == numbers_.end()) return std::nullopt;
  return found->second;
}

void Variables::SetText(uint32_t number, std::string_view text) {
  variables_[number].kind = Kind::kText;
  variables_[number].text.assign(text);
}

absl::StatusOr<Value> Variables::Parsed(uint32_t number) {
  Variable& variable = variables_[number];
  if (variable.kind == Kind::kUndefined) {
    return absl::FailedPreconditionError(absl::StrCat("undefined variable \"", names_.name(number), "\""));
  }
  if (variable.kind == Kind::kText) {
    absl::StatusOr<Value> value = ParseValue(variable.text);
    if (!value.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("malformed variable \"", names_.name(number), "\": ", value.status().message()));
    }
    variable.value = *value;
    variable.kind = Kind::kTextWithValue;
  }
  return variable.value;
}

std::string_view Variables::Text(uint32_t number, char* buffer) const {
  const Variable& variable = variables_[number];
  if (variable.kind != Kind::kValue) return variable.text;
  return {buffer, WriteValue(variable.value, buffer)};
}

}  // namespace trunkload

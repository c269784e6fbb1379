#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/script/value.h"

namespace trunkload {

// The variables that the scripts of a run name, numbered as they come up:
// [A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*.
class VariableNames {
 public:
  static bool IsStart(char c);
  static bool IsPart(char c);

  // The number of the name, given now where it is new.
  uint32_t Number(std::string_view name);
  // None where nothing has that name.
  std::optional<uint32_t> Find(std::string_view name) const;
  const std::string& name(uint32_t number) const { return names_[number]; }
  size_t size() const { return names_.size(); }

 private:
  absl::flat_hash_map<std::string, uint32_t> numbers_;
  std::vector<std::string> names_;
};

// What one client's variables are. Reading or setting a value allocates nothing. Not thread-safe.
class Variables {
 public:
  // `names` must outlive it and not grow any more.
  explicit Variables(const VariableNames& names) : names_(names), variables_(names.size()) {}

  bool defined(uint32_t number) const { return variables_[number].kind != Kind::kUndefined; }
  // FAILED_PRECONDITION where it is not defined; INVALID_ARGUMENT where its text has no value.
  absl::StatusOr<Value> Get(uint32_t number) {
    const Variable& variable = variables_[number];
    if (variable.kind == Kind::kValue) [[likely]]
      return variable.value;
    return Parsed(number);
  }
  void Set(uint32_t number, const Value& value) {
    variables_[number].kind = Kind::kValue;
    variables_[number].value = value;
  }
  void Unset(uint32_t number) { variables_[number].kind = Kind::kUndefined; }
  // Its type is found out when an expression first uses it.
  void SetText(uint32_t number, std::string_view text);

  // As it goes into a statement; `buffer` has room for kValueTextBytes, and may hold what is returned. Of a
  // variable that is defined.
  std::string_view Text(uint32_t number, char* buffer) const;

 private:
  enum class Kind : uint8_t { kUndefined, kText, kTextWithValue, kValue };
  struct Variable {
    Value value;
    Kind kind = Kind::kUndefined;
    std::string text;
  };

  absl::StatusOr<Value> Parsed(uint32_t number);

  const VariableNames& names_;
  std::vector<Variable> variables_;
};

}  // namespace trunkload

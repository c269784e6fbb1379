#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "absl/strings/string_view.h"

namespace trunkload {

// What somebody is to a controller, as his certificate says.
enum class Role { kController, kAgent, kOperator, kViewer };

inline constexpr std::array kRoles = {Role::kController, Role::kAgent, Role::kOperator, Role::kViewer};

// `agent` …
absl::string_view NameOf(Role role);
std::optional<Role> RoleNamed(absl::string_view name);
// As an organization in the subject of a certificate, `trunkload:agent` …
std::string OrganizationOf(Role role);

// The roles that a certificate bears. Other organizations mean nothing here.
class Roles {
 public:
  Roles() = default;
  explicit Roles(Role role) : bits_(BitOf(role)) {}
  static Roles Of(std::span<const std::string> organizations);

  bool Has(Role role) const { return (bits_ & BitOf(role)) != 0; }
  bool empty() const { return bits_ == 0; }
  // `operator and viewer`; `no role`.
  std::string Text() const;

 private:
  static uint32_t BitOf(Role role) { return uint32_t{1} << static_cast<uint32_t>(role); }

  uint32_t bits_ = 0;
};

}  // namespace trunkload

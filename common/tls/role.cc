#include "common/tls/role.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace trunkload {
namespace {

constexpr absl::string_view kPrefix = "trunkload:";

}  // namespace

absl::string_view NameOf(Role role) {
  switch (role) {
    case Role::kController:
      return "controller";
    case Role::kAgent:
      return "agent";
    case Role::kOperator:
      return "operator";
    case Role::kViewer:
      break;
  }
  return "viewer";
}

std::optional<Role> RoleNamed(absl::string_view name) {
  for (const Role role : kRoles) {
    if (NameOf(role) == name) return role;
  }
  return std::nullopt;
}

std::string OrganizationOf(Role role) {
  return absl::StrCat(kPrefix, NameOf(role));
}

Roles Roles::Of(std::span<const std::string> organizations) {
  Roles roles;
  for (const Role role : kRoles) {
    for (const std::string& organization : organizations) {
      if (organization == OrganizationOf(role)) roles.bits_ |= BitOf(role);
    }
  }
  return roles;
}

std::string Roles::Text() const {
  std::vector<absl::string_view> names;
  for (const Role role : kRoles) {
    if (Has(role)) names.push_back(NameOf(role));
  }
  return names.empty() ? "no role" : absl::StrJoin(names, " and ");
}

}  // namespace trunkload

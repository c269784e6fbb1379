#include "controller/access/permission.h"

#include <array>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

struct Rule {
  Rpc rpc;
  absl::string_view path;
  absl::string_view what;  // "… takes an operator's certificate"
  Role role;               // that it takes; an operator may all that a viewer may
};

constexpr std::array kRules = {
    Rule{Rpc::kJoin, "/trunkload.v1.FleetService/Join", "joining the fleet", Role::kAgent},
    Rule{Rpc::kKeepAlive, "/trunkload.v1.FleetService/KeepAlive", "joining the fleet", Role::kAgent},
    Rule{Rpc::kRun, "/trunkload.v1.ControlService/Run", "running a plan", Role::kOperator},
    Rule{Rpc::kCancel, "/trunkload.v1.ControlService/Cancel", "cancelling a run", Role::kOperator},
    Rule{Rpc::kFollow, "/trunkload.v1.ControlService/Follow", "following a run", Role::kViewer},
    Rule{Rpc::kListRuns, "/trunkload.v1.ControlService/ListRuns", "listing runs", Role::kViewer},
    Rule{Rpc::kCreateToken, "/trunkload.v1.TokenService/Create", "making a join token", Role::kOperator},
    Rule{Rpc::kListTokens, "/trunkload.v1.TokenService/List", "listing join tokens", Role::kOperator},
    Rule{Rpc::kRevokeToken, "/trunkload.v1.TokenService/Revoke", "revoking a join token", Role::kOperator},
};

const Rule& RuleOf(Rpc rpc) {
  return kRules[static_cast<size_t>(rpc)];
}

constexpr bool InOrder() {
  for (size_t i = 0; i < kRules.size(); ++i) {
    if (static_cast<size_t>(kRules[i].rpc) != i) return false;
  }
  return true;
}
static_assert(InOrder());

std::string Holder(Role role) {
  return absl::StrCat(role == Role::kAgent || role == Role::kOperator ? "an " : "a ", NameOf(role), "'s");
}

}  // namespace

std::optional<Rpc> RpcOfPath(absl::string_view path) {
  for (const Rule& rule : kRules) {
    if (rule.path == path) return rule.rpc;
  }
  return std::nullopt;
}

bool IsForAgents(Rpc rpc) {
  return RuleOf(rpc).role == Role::kAgent;
}

absl::Status CheckPermission(const Caller& caller, Rpc rpc) {
  const Rule& rule = RuleOf(rpc);
  if (caller.roles.Has(rule.role)) return absl::OkStatus();
  if (rule.role == Role::kViewer && caller.roles.Has(Role::kOperator)) return absl::OkStatus();
  const std::string takes = absl::StrCat(rule.what, " takes ", Holder(rule.role), " certificate",
                                         IsForAgents(rpc) ? " or a join token (--token-file)" : "");
  if (!caller.has_certificate) {
    return absl::UnauthenticatedError(
        absl::StrCat(takes, ", and no certificate was shown: name the folder that holds it with --tls"));
  }
  return absl::PermissionDeniedError(
      absl::StrCat(takes, ", and that of ", caller.name.empty() ? "this caller" : caller.name, " has ",
                   caller.roles.empty() ? "no role of ours" : absl::StrCat("the role ", caller.roles.Text()),
                   ": issue one with --role ", NameOf(rule.role)));
}

}  // namespace trunkload

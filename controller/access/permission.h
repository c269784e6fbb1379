#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/tls/role.h"

namespace trunkload {

// What can be called over the network.
enum class Rpc {
  kJoin,
  kKeepAlive,
  kRun,
  kCancel,
  kFollow,
  kListRuns,
  kCreateToken,
  kListTokens,
  kRevokeToken
};

// By its path, as `/trunkload.v1.FleetService/Join`.
std::optional<Rpc> RpcOfPath(absl::string_view path);
// Agents come in by these; a join token will do for them.
bool IsForAgents(Rpc rpc);

// Who calls, as far as his certificate says.
struct Caller {
  bool has_certificate = false;
  std::string name;
  Roles roles;
};

// PERMISSION_DENIED, or UNAUTHENTICATED where nothing was shown at all: a sentence.
absl::Status CheckPermission(const Caller& caller, Rpc rpc);

}  // namespace trunkload

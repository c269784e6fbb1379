#include "controller/caller_check.h"

#include <optional>
#include <string>

#include "common/grpc_status.h"
#include "common/tls/certificate.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/token_metadata.h"
#include "controller/access/peer_address.h"

namespace trunkload {
namespace {

Caller CallerOf(const grpc::AuthContext& context) {
  const std::string pem = PeerCertificate(context);
  Caller caller;
  // Who has shown it has the key to it, and it is of our authority: TLS has seen to that.
  if (const auto certificate = Certificate::Parse(pem); certificate.ok()) {
    caller.has_certificate = true;
    caller.name = certificate->name;
    caller.roles = certificate->roles();
  }
  return caller;
}

class HeaderCheck final : public grpc::AuthMetadataProcessor {
 public:
  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context,
                       OutputMetadata* /*consumed*/, OutputMetadata* /*response*/) override {
    const auto path = metadata.find(":path");
    if (path == metadata.end()) return {grpc::StatusCode::UNIMPLEMENTED, "no path"};
    const std::optional<Rpc> rpc = RpcOfPath({path->second.data(), path->second.size()});
    // Nobody answers it. What agents call reads nothing by itself, and looks at tokens too.
    if (!rpc || IsForAgents(*rpc)) return grpc::Status::OK;
    return ToGrpcStatus(CheckPermission(CallerOf(*context), *rpc));
  }
};

}  // namespace

absl::Status CallerCheck::Check(const grpc::CallbackServerContext& context, Rpc rpc) const {
  const absl::Status status =
      tls_ ? CheckPermission(CallerOf(*context.auth_context()), rpc) : absl::OkStatus();
  if (status.ok()) door_.Admit(context.peer());
  return status;
}

absl::StatusOr<std::optional<std::string>> CallerCheck::CheckAgent(const grpc::CallbackServerContext& context,
                                                                   Rpc rpc) const {
  absl::StatusOr<std::optional<std::string>> decided = Decide(context, rpc);
  if (decided.ok()) door_.Admit(context.peer());
  return decided;
}

absl::StatusOr<std::optional<std::string>> CallerCheck::Decide(const grpc::CallbackServerContext& context,
                                                               Rpc rpc) const {
  if (!tls_) return std::nullopt;
  const Caller caller = CallerOf(*context.auth_context());
  const absl::Status by_certificate = CheckPermission(caller, rpc);
  // Whoever shows one that will do was let in by TLS itself, and waits for nobody else's failures.
  if (by_certificate.ok()) return std::nullopt;
  const std::string address = AddressOfPeer(context.peer());
  absl::MutexLock lock(&mutex_);
  if (!failures_.MayTry(address, clock_.MonotonicNanos())) {
    return absl::ResourceExhaustedError(
        "too many calls from this address were refused: try again in some seconds");
  }
  const auto token = context.client_metadata().find(kTokenMetadata);
  if (token == context.client_metadata().end()) {
    failures_.OnFailure(address, clock_.MonotonicNanos());
    return by_certificate;
  }
  absl::StatusOr<std::string> id = desk_.Identify({token->second.data(), token->second.size()});
  if (id.ok()) return *std::move(id);
  failures_.OnFailure(address, clock_.MonotonicNanos());
  return id.status();
}

std::shared_ptr<grpc::AuthMetadataProcessor> CallerCheck::BeforeMessages() {
  return std::make_shared<HeaderCheck>();
}

}  // namespace trunkload

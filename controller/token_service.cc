#include "controller/token_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/grpc_status.h"

namespace trunkload {
namespace {

constexpr uint64_t kLongestSeconds = 31'536'000;

std::string Text(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

v1::TokenInfo InfoOf(const TokenRecord& token) {
  v1::TokenInfo info;
  info.set_id(token.id);
  info.set_created_at(Text(token.created));
  info.set_expires_at(Text(token.expires));
  if (token.revoked) info.set_revoked_at(Text(*token.revoked));
  info.set_agents(token.agents);
  info.set_agents_let_in(static_cast<uint32_t>(token.instances.size()));
  return info;
}

}  // namespace

grpc::ServerUnaryReactor* TokenService::Create(grpc::CallbackServerContext* context,
                                               const v1::CreateTokenRequest* request,
                                               v1::CreateTokenReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::Status status = check_.Check(*context, Rpc::kCreateToken);
  if (status.ok() && !check_.tls()) {
    status = absl::FailedPreconditionError(
        "this controller speaks plain text, where agents are let in without a token: start it with --tls");
  }
  if (status.ok() && (request->ttl_s() < 1 || request->ttl_s() > kLongestSeconds)) {
    status = absl::InvalidArgumentError(
        absl::StrCat("a token lets agents in for 1 to ", kLongestSeconds, " s, not ", request->ttl_s()));
  }
  if (status.ok() && request->agents() > JoinTokens::kMostInstances) {
    status = absl::InvalidArgumentError(absl::StrCat("a token lets in at most ", JoinTokens::kMostInstances,
                                                     " agents, not ", request->agents()));
  }
  if (!status.ok()) {
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }
  desk_.Create(absl::Seconds(static_cast<int64_t>(request->ttl_s())), request->agents(),
               [reactor, reply](absl::StatusOr<JoinTokens::Made> made) {
                 if (made.ok()) {
                   reply->set_token(made->text);
                   *reply->mutable_info() = InfoOf(made->record);
                 }
                 reactor->Finish(ToGrpcStatus(made.status()));
               });
  return reactor;
}

grpc::ServerUnaryReactor* TokenService::List(grpc::CallbackServerContext* context,
                                             const v1::ListTokensRequest* /*request*/,
                                             v1::ListTokensReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::Status status = check_.Check(*context, Rpc::kListTokens);
  if (status.ok()) {
    for (const TokenRecord& token : desk_.List()) *reply->add_tokens() = InfoOf(token);
  }
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

grpc::ServerUnaryReactor* TokenService::Revoke(grpc::CallbackServerContext* context,
                                               const v1::RevokeTokenRequest* request,
                                               v1::RevokeTokenReply* /*reply*/) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (absl::Status status = check_.Check(*context, Rpc::kRevokeToken); !status.ok()) {
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }
  desk_.Revoke(request->id(),
               [reactor](const absl::Status& status) { reactor->Finish(ToGrpcStatus(status)); });
  return reactor;
}

}  // namespace trunkload

#pragma once

#include "controller/caller_check.h"
#include "controller/token_desk.h"
#include "trunkload/v1/token.grpc.pb.h"

namespace trunkload {

// Operators make join tokens here, look at them and revoke them. Thread-safe.
class TokenService final : public v1::TokenService::CallbackService {
 public:
  // Both must outlive every call.
  TokenService(const CallerCheck& check, TokenDesk& desk) : check_(check), desk_(desk) {}

  grpc::ServerUnaryReactor* Create(grpc::CallbackServerContext* context,
                                   const v1::CreateTokenRequest* request,
                                   v1::CreateTokenReply* reply) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::ListTokensRequest* request,
                                 v1::ListTokensReply* reply) override;
  grpc::ServerUnaryReactor* Revoke(grpc::CallbackServerContext* context,
                                   const v1::RevokeTokenRequest* request,
                                   v1::RevokeTokenReply* reply) override;

 private:
  const CallerCheck& check_;
  TokenDesk& desk_;
};

}  // namespace trunkload

#include "controller/token_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "common/grpc_status.h"
#include "controller/controller_dial.h"

namespace trunkload {
namespace {

constexpr std::chrono::seconds kTimeout{10};

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenClient>> TokenClient::Open(const std::string& address,
                                                               const Transport& transport) {
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = DialController(address, transport);
  if (!channel.ok()) return channel.status();
  return std::unique_ptr<TokenClient>(
      new TokenClient(address, transport, v1::TokenService::NewStub(*channel)));
}

absl::StatusOr<v1::CreateTokenReply> TokenClient::Create(absl::Duration ttl, uint32_t agents) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::CreateTokenRequest request;
  request.set_ttl_s(static_cast<uint64_t>(absl::ToInt64Seconds(ttl)));
  request.set_agents(agents);
  v1::CreateTokenReply reply;
  const absl::Status status = FromGrpcStatus(stub_->Create(&context, request, &reply));
  if (!status.ok()) return ExplainCall(status, address_, transport_);
  return reply;
}

absl::StatusOr<std::vector<v1::TokenInfo>> TokenClient::List() {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ListTokensReply reply;
  const absl::Status status = FromGrpcStatus(stub_->List(&context, v1::ListTokensRequest(), &reply));
  if (!status.ok()) return ExplainCall(status, address_, transport_);
  return std::vector<v1::TokenInfo>(reply.tokens().begin(), reply.tokens().end());
}

absl::Status TokenClient::Revoke(const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::RevokeTokenRequest request;
  request.set_id(id);
  v1::RevokeTokenReply reply;
  return ExplainCall(FromGrpcStatus(stub_->Revoke(&context, request, &reply)), address_, transport_);
}

}  // namespace trunkload

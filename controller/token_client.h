#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tls/transport.h"
#include "trunkload/v1/token.grpc.pb.h"

namespace trunkload {

// The join tokens of a controller, as the command line uses them. Each call blocks for some seconds at most.
class TokenClient {
 public:
  // INVALID_ARGUMENT or FAILED_PRECONDITION where what there is for TLS can't be used. Nothing is dialled
  // yet.
  static absl::StatusOr<std::unique_ptr<TokenClient>> Open(const std::string& address,
                                                           const Transport& transport);

  // `agents`: how many it lets in; 0: any number.
  absl::StatusOr<v1::CreateTokenReply> Create(absl::Duration ttl, uint32_t agents);
  // Newest first.
  absl::StatusOr<std::vector<v1::TokenInfo>> List();
  absl::Status Revoke(const std::string& id);

 private:
  TokenClient(std::string address, Transport transport, std::unique_ptr<v1::TokenService::Stub> stub)
      : address_(std::move(address)), transport_(std::move(transport)), stub_(std::move(stub)) {}

  const std::string address_;
  const Transport transport_;
  const std::unique_ptr<v1::TokenService::Stub> stub_;
};

}  // namespace trunkload

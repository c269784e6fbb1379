#pragma once

#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/server_context.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "controller/access/failure_limit.h"
#include "controller/access/permission.h"
#include "controller/doorkeeper.h"
#include "controller/token_desk.h"

namespace trunkload {

// Lets calls in or refuses them: every handler of every service asks first. Thread-safe.
class CallerCheck {
 public:
  // `tls`: callers show who they are. Otherwise nobody is checked. All must outlive this. The door hears of
  // those who are let in.
  CallerCheck(bool tls, const Clock& clock, const TokenDesk& desk, Doorkeeper& door)
      : tls_(tls), clock_(clock), desk_(desk), door_(door) {}

  bool tls() const { return tls_; }
  // UNAUTHENTICATED or PERMISSION_DENIED with a sentence.
  absl::Status Check(const grpc::CallbackServerContext& context, Rpc rpc) const;
  // The same of the calls of agents, for which a join token will do: its id, where that and no certificate
  // let the call in. RESOURCE_EXHAUSTED where too many of that address were refused.
  absl::StatusOr<std::optional<std::string>> CheckAgent(const grpc::CallbackServerContext& context,
                                                        Rpc rpc) const;

  // Asks the same before anything of a call but its headers is read, so that nobody sends large messages to
  // handlers that would refuse him.
  static std::shared_ptr<grpc::AuthMetadataProcessor> BeforeMessages();

 private:
  absl::StatusOr<std::optional<std::string>> Decide(const grpc::CallbackServerContext& context,
                                                    Rpc rpc) const;

  const bool tls_;
  const Clock& clock_;
  const TokenDesk& desk_;
  Doorkeeper& door_;
  mutable absl::Mutex mutex_;
  mutable FailureLimit failures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace trunkload

#pragma once

#include "controller/caller_check.h"
#include "controller/controller_thread.h"
#include "trunkload/v1/control.grpc.pb.h"

namespace trunkload {

// Command lines on other machines come in here, with plans to run. Thread-safe.
class ControlService final : public v1::ControlService::CallbackService {
 public:
  // Both must outlive every call.
  ControlService(const CallerCheck& check, ControllerThread& controller)
      : check_(check), controller_(controller) {}

  grpc::ServerWriteReactor<v1::RunUpdate>* Run(grpc::CallbackServerContext* context,
                                               const v1::RunRequest* request) override;
  grpc::ServerWriteReactor<v1::RunUpdate>* Follow(grpc::CallbackServerContext* context,
                                                  const v1::FollowRequest* request) override;
  grpc::ServerUnaryReactor* ListRuns(grpc::CallbackServerContext* context, const v1::ListRunsRequest* request,
                                     v1::ListRunsReply* reply) override;
  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* context, const v1::CancelRequest* request,
                                   v1::CancelReply* reply) override;

 private:
  const CallerCheck& check_;
  ControllerThread& controller_;
};

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "controller/agent_stream.h"
#include "controller/checks/settlement.h"
#include "controller/citus/observer.h"
#include "controller/controller.h"
#include "controller/controller_status.h"
#include "controller/faults/fault_injector.h"
#include "controller/run_follower.h"
#include "controller/run_keeper.h"
#include "controller/target_preparation.h"

namespace trunkload {

// The one thread of a process that drives its Controller. Every public call is thread-safe and only puts an
// event into a queue, in order, unless it says otherwise.
//
// The queue needs no limit of its own: an agent's stream reads only so many messages ahead of OnMessageTaken,
// so that a controller that falls behind makes its agents wait; other events are a few for each stream and
// run.
class ControllerThread : private ControllerOutside {
 public:
  // The clock must outlive this. `store`: where runs are kept; null: nowhere. `allow_commands`: plans may
  // have faults that are commands of this machine.
  explicit ControllerThread(const Clock& clock, std::unique_ptr<RunStore> store = nullptr,
                            bool allow_commands = false);
  // Every stream must have ended and every call be over: shut the server down first.
  ~ControllerThread() override;

  StreamId AddStream(std::shared_ptr<AgentStream> stream);
  // `received_ns`: the clock, read as soon as the message was there.
  void OnAgentMessage(StreamId stream, v1::AgentMessage message, int64_t received_ns);
  void OnStreamEnded(StreamId stream);
  // At once, on the caller's thread. False where no such agent has joined.
  bool OnHeartbeat(uint64_t instance, int64_t received_ns) {
    return controller_.heartbeats().OnHeartbeat(instance, received_ns);
  }

  // The follower hears of everything, also that the run was refused.
  void StartRun(v1::Plan plan, Controller::RunOptions options, std::shared_ptr<RunFollower> follower);
  // Goes on with a run that another controller left. `done` is called on this thread.
  void ResumeRun(RunSnapshot snapshot, RunKeeper::Done done);
  // The follower hears of a run under way, or of the end of one that has ended: of the newest one without an
  // id. Its going away ends nothing.
  void FollowRun(std::string run_id, std::shared_ptr<RunFollower> follower);
  void StopFollowing(const RunFollower* follower);
  // All that are kept, newest first.
  void ListRuns(RunKeeper::Answer<std::vector<v1::RunSummary>> answer) { keeper_.List(std::move(answer)); }
  // NOT_FOUND and FAILED_PRECONDITION as RunStore has them.
  void Result(std::string run_id, RunKeeper::Answer<v1::RunResult> answer) {
    keeper_.Result(std::move(run_id), std::move(answer));
  }
  // `answer` is called on this thread.
  void Look(absl::AnyInvocable<void(ControllerStatus)> answer);
  // A process of an agent has ended, that is certain: nothing need be waited for.
  void OnAgentDied(std::string name);
  // Ends the follower's run in order, if it is under way.
  void CancelRun(const RunFollower* follower);
  // NOT_FOUND where no such run is under way. `done` is called on this thread.
  void CancelRun(std::string run_id, absl::AnyInvocable<void(const absl::Status&)> done);

  // Refuses further runs and agents, ends a run that is under way in order, then closes all streams. Blocks
  // until then.
  void Stop();

 private:
  using Event = absl::AnyInvocable<void()>;

  void EndRun(const absl::StatusOr<v1::RunResult>& result);
  ControllerStatus Status();
  bool busy() const { return !run_.run_id().empty(); }
  // PERMISSION_DENIED where the plan has commands that are not allowed here.
  absl::Status CheckCommands(const v1::Plan& plan) const;
  void Post(Event event) ABSL_LOCKS_EXCLUDED(mutex_);
  std::deque<Event> WaitForEvents() ABSL_LOCKS_EXCLUDED(mutex_);
  void Drive();
  void TickIfDue();
  void CloseStreamsWhenIdle();

  void Send(StreamId to, const v1::ControllerMessage& message) override;
  void Disconnect(StreamId stream, const absl::Status& why) override;
  void Save(RunSnapshot snapshot) override;
  void PrepareTarget(const v1::Plan& plan, const std::string& run_id) override;
  void FinishTarget(const v1::Plan& plan, bool smoothly) override;
  void Prepare(const v1::Plan& plan, const std::string& run_id, TargetPreparation::Part part);
  void CancelPrepareTarget() override;
  void StartObserving(const v1::Plan& plan) override;
  void ReadDatabase(bool tracked) override;
  void ReadDatabaseLast(const std::vector<int64_t>& keys) override;
  void StopObserving() override;
  void SettleChecks(const v1::Plan& plan, const std::string& run_id,
                    const OperationRecord& operations) override;
  void CancelSettling() override;
  void KeepCheckRecord(const std::string& run_id, v1::CheckRecord record) override;
  void PrepareFaults(const v1::Plan& plan, const std::string& run_id) override;
  void BeginFault(int fault) override;
  void EndFaults() override;
  void OnProgress(const v1::Progress& progress) override;
  void OnTransactions(uint32_t agent, int64_t phase_start_us, const v1::TransactionLog& log) override;
  void OnRunEnded(absl::StatusOr<v1::RunResult> result) override;

  const Clock& clock_;
  const bool allow_commands_;
  const int wake_fd_;

  absl::Mutex mutex_;
  std::deque<Event> events_ ABSL_GUARDED_BY(mutex_);
  StreamId last_stream_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;

  // From here on: of the thread alone.
  bool stopping_ = false;
  bool quit_ = false;
  std::map<StreamId, std::shared_ptr<AgentStream>> streams_;
  // The run that is under way, or being kept; none where its id is empty. The one who asked for it, and
  // others.
  v1::RunSummary run_;
  std::shared_ptr<RunFollower> follower_;
  std::vector<std::shared_ptr<RunFollower>> more_followers_;
  v1::Progress progress_;
  // Of runs that have ended; and of the one under way, when somebody looked last.
  LoadCounts counted_;
  LoadCounts seen_;
  std::map<std::string, uint64_t> runs_ended_;
  // Those given up too, until they have ended; 0 is none.
  std::map<uint64_t, std::unique_ptr<TargetPreparation>> preparations_;
  uint64_t current_preparation_ = 0;
  uint64_t last_preparation_ = 0;
  // Of the run under way.
  std::unique_ptr<Observer> observer_;
  uint64_t last_observer_ = 0;
  // Waits for the end of the one before.
  std::thread ending_;
  // The newest one; one that was given up may take a moment to end.
  std::unique_ptr<Settlement> settlement_;
  uint64_t current_settlement_ = 0;
  uint64_t last_settlement_ = 0;
  // Of the run under way; all of its faults have ended when that has.
  std::unique_ptr<FaultInjector> injector_;
  uint64_t last_injector_ = 0;
  RunKeeper keeper_;
  Controller controller_;
  std::thread thread_;
};

}  // namespace trunkload

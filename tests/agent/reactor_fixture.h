#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "agent/reactor.h"
#include "agent/slice.h"
#include "common/clock.h"
#include "tests/support/wire_server.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// One reactor and the server that it loads, in real time. A test calls Serve, changes the assignment as it
// needs, adds phases, and opens.
class ReactorFixture : public testing::Test {
 protected:
  // One application server with two connections; single inserts.
  ReactorFixture();

  void Serve(const WireServerOptions& options = {});
  const WireCounts& counts() const { return server_->counts(); }

  // Before the phases, which count for each application server.
  void AddApplicationServers(uint32_t more);
  // A phase without a number of transactions lasts for a duration, which is longer than any test.
  v1::Phase& AddClosed(uint32_t clients, uint64_t transactions = 0);
  // The rate is that of all together.
  v1::Phase& AddOpen(double rate, uint64_t transactions = 0);

  // Starts the reactor, and waits until it has told that it is ready, or failed.
  bool Open();
  uint32_t connections() const;
  std::string failure() const;

  void StartPhase(uint32_t phase, absl::Duration from_now = absl::ZeroDuration());
  void StopPhase(absl::Duration drain_timeout = absl::InfiniteDuration()) {
    reactor_->StopPhase(drain_timeout);
  }
  // Waits until what was measured in the phase so far, to the last second that is over, is as it should be.
  void WaitUntilMeasured(absl::FunctionRef<bool(const Slice&)> there);
  // Waits for the end of the phase; all that was measured in it.
  Slice End();
  Slice Run(uint32_t phase);
  // How many slices the last phase had, and how many of them were told before its end.
  int slices() const { return slices_; }
  int slices_told() const;

  // Fails the test where that does not become true in a long time.
  static void WaitUntil(absl::FunctionRef<bool()> there);

  std::unique_ptr<WireServer> server_;
  v1::Assignment assignment_;

 private:
  v1::Phase& AddPhase(uint32_t clients, uint64_t transactions);

  std::vector<uint64_t> client_seeds_;
  std::atomic<int64_t> lease_ends_ns_{INT64_MAX};
  void Collect();

  std::optional<Slice> measured_;
  int slices_ = 0;
  mutable absl::Mutex mutex_;
  bool told_ ABSL_GUARDED_BY(mutex_) = false;
  uint32_t connections_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string failure_ ABSL_GUARDED_BY(mutex_);
  int slices_told_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  // Its thread uses all of the above.
  std::unique_ptr<Reactor> reactor_;
};

// By code.
std::map<std::string, uint64_t> Errors(const ErrorCounts& errors);
uint64_t Sum(const ErrorCounts& errors);
// Each transaction that was offered ended in one way, and was timed.
void ExpectSums(const ScriptSlice& script);

}  // namespace trunkload

#include "agent/assignment_check.h"

#include <cstdint>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

// What a plan may have at most: what is counted or allocated by it stays far from overflowing.
constexpr uint32_t kMostConnections = 10'000'000;
constexpr uint32_t kMostWaiting = 10'000'000;
constexpr uint32_t kMostBatch = 1'000'000;
constexpr int64_t kLongestSeconds = 366 * 24 * 3600;
constexpr double kHighestRate = 1e9;

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the controller sent an assignment with ", what));
}

bool IsDuration(const google::protobuf::Duration& duration) {
  return duration.seconds() >= 0 && duration.seconds() <= kLongestSeconds && duration.nanos() >= 0 &&
         duration.nanos() < 1'000'000'000;
}

bool IsZero(const google::protobuf::Duration& duration) {
  return duration.seconds() == 0 && duration.nanos() == 0;
}

bool IsRate(double rate) {
  return rate >= 0 && rate <= kHighestRate;
}

absl::Status CheckScripts(const v1::Assignment& assignment) {
  uint64_t weights = 0;
  for (const v1::Script& script : assignment.scripts()) {
    weights += script.weight();
    if (!v1::Builtin_IsValid(script.builtin()) || script.builtin() == v1::BUILTIN_UNSPECIFIED) {
      return Wrong("a script that this agent does not know: update it");
    }
    const uint32_t batch = script.variables().batch();
    if (script.builtin() != v1::BUILTIN_INSERT_SINGLE && (batch == 0 || batch > kMostBatch)) {
      return Wrong("a batch without rows");
    }
    const v1::Keys& keys = script.keys();
    const bool random = keys.distribution() == v1::KEY_DISTRIBUTION_UNIFORM ||
                        keys.distribution() == v1::KEY_DISTRIBUTION_ZIPFIAN;
    if (random && (keys.range() == 0 || keys.range() > INT64_MAX)) return Wrong("keys from an empty range");
    // Nearer to 1, drawing one takes too many attempts.
    if (keys.distribution() == v1::KEY_DISTRIBUTION_ZIPFIAN &&
        !(keys.exponent() >= 1.001 && keys.exponent() <= 1000)) {
      return Wrong("an exponent that Zipf's law can't have");
    }
  }
  if (weights == 0 || weights > UINT32_MAX) return Wrong("no script to run");
  return absl::OkStatus();
}

absl::Status CheckOpenLoad(const v1::Phase& phase) {
  const v1::OpenLoad& load = phase.load().open();
  if (load.stages().empty()) {
    return load.rate() > 0 && IsRate(load.rate()) ? absl::OkStatus() : Wrong("a rate that can't be");
  }
  for (const v1::Stage& stage : load.stages()) {
    if (!IsDuration(stage.duration()) || !IsRate(stage.rate()) || !IsRate(stage.ramp_to())) {
      return Wrong("a stage that can't be");
    }
  }
  return phase.has_duration() ? absl::OkStatus() : Wrong("stages in a phase without a duration");
}

absl::Status CheckPhase(const v1::Phase& phase) {
  if (!phase.load().has_open() && !phase.load().has_closed()) return Wrong("a phase without a load");
  if (!IsDuration(phase.duration()) || !IsDuration(phase.drain_timeout()) ||
      !IsDuration(phase.load().closed().think_time())) {
    return Wrong("a duration that can't be");
  }
  if (!phase.has_duration() && !phase.has_transactions()) return Wrong("a phase without an end");
  return phase.load().has_open() ? CheckOpenLoad(phase) : absl::OkStatus();
}

}  // namespace

absl::Status CheckAssignment(const v1::Assignment& assignment) {
  const v1::Pool& pool = assignment.pool();
  if (assignment.application_servers().empty() || assignment.phases().empty()) return Wrong("nothing to do");
  if (pool.size() == 0 ||
      pool.size() > kMostConnections / static_cast<uint32_t>(assignment.application_servers_size()))
    return Wrong("a pool that can't be");
  if (!IsDuration(pool.acquire_timeout()) || !IsDuration(pool.connect_timeout()))
    return Wrong("a time-out that can't be");
  // Whoever waits no time at all would ask again and again within the same instant.
  if (IsZero(pool.acquire_timeout()) || IsZero(pool.connect_timeout())) return Wrong("a time-out of nothing");
  if (pool.queue_limit() > kMostWaiting) return Wrong("a longer line than can be");
  if (absl::Status status = CheckScripts(assignment); !status.ok()) return status;
  for (const v1::Phase& phase : assignment.phases()) {
    if (absl::Status status = CheckPhase(phase); !status.ok()) return status;
  }
  for (const v1::ApplicationServer& server : assignment.application_servers()) {
    if (server.number() >= assignment.fleet_application_servers())
      return Wrong("an application server too many");
    if (server.shares_size() != assignment.phases_size())
      return Wrong("an application server without its shares");
    for (int i = 0; i < server.shares_size(); ++i) {
      const v1::PhaseShare& share = server.shares(i);
      if (share.clients() > kMostWaiting) return Wrong("more clients than can be");
      const bool closed = assignment.phases(i).load().has_closed();
      if (closed && share.transactions() > 0 && share.clients() == 0) return Wrong("transactions for nobody");
    }
  }
  return absl::OkStatus();
}

}  // namespace trunkload

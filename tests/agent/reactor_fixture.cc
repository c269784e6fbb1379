#include "tests/agent/reactor_fixture.h"

#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "agent/client_seeds.h"
#include "common/duration.h"

namespace trunkload {
namespace {

// Only a test that fails waits as long.
constexpr absl::Duration kPatience = absl::Minutes(2);

}  // namespace

ReactorFixture::ReactorFixture() {
  v1::Pool& pool = *assignment_.mutable_pool();
  pool.set_size(2);
  pool.set_mode(v1::POOL_MODE_TRANSACTION);
  pool.set_queue_limit(10'000);
  *pool.mutable_acquire_timeout() = ToProto(kPatience);
  *pool.mutable_connect_timeout() = ToProto(kPatience);
  v1::Script& script = *assignment_.add_scripts();
  script.set_builtin(v1::BUILTIN_INSERT_SINGLE);
  script.set_weight(1);
  AddApplicationServers(1);
}

void ReactorFixture::Serve(const WireServerOptions& options) {
  auto server = WireServer::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  assignment_.mutable_target()->set_conninfo(server_->conninfo());
}

void ReactorFixture::AddApplicationServers(uint32_t more) {
  for (uint32_t i = 0; i < more; ++i) {
    const auto number = static_cast<uint32_t>(assignment_.application_servers_size());
    v1::ApplicationServer& server = *assignment_.add_application_servers();
    server.set_number(number);
    server.set_seed(100 + number);
  }
  assignment_.set_fleet_application_servers(static_cast<uint32_t>(assignment_.application_servers_size()));
}

v1::Phase& ReactorFixture::AddPhase(uint32_t clients, uint64_t transactions) {
  for (v1::ApplicationServer& server : *assignment_.mutable_application_servers()) {
    v1::PhaseShare& share = *server.add_shares();
    share.set_clients(clients);
    share.set_transactions(transactions);
  }
  v1::Phase& phase = *assignment_.add_phases();
  if (transactions > 0) {
    phase.set_transactions(transactions * assignment_.fleet_application_servers());
  } else {
    *phase.mutable_duration() = ToProto(absl::Hours(1));
  }
  *phase.mutable_drain_timeout() = ToProto(kPatience);
  return phase;
}

v1::Phase& ReactorFixture::AddClosed(uint32_t clients, uint64_t transactions) {
  v1::Phase& phase = AddPhase(clients, transactions);
  phase.mutable_load()->mutable_closed()->set_clients(clients * assignment_.fleet_application_servers());
  return phase;
}

v1::Phase& ReactorFixture::AddOpen(double rate, uint64_t transactions) {
  v1::Phase& phase = AddPhase(0, transactions);
  phase.mutable_load()->mutable_open()->set_rate(rate);
  phase.mutable_load()->mutable_open()->set_arrivals(v1::ARRIVALS_CONSTANT);
  return phase;
}

bool ReactorFixture::Open() {
  ReactorCallbacks callbacks;
  callbacks.ready = [this](uint32_t connections) {
    absl::MutexLock lock(&mutex_);
    told_ = true;
    connections_ = connections;
  };
  callbacks.failed = [this](std::string reason) {
    absl::MutexLock lock(&mutex_);
    told_ = true;
    failure_ = std::move(reason);
  };
  callbacks.slice = [this] {
    absl::MutexLock lock(&mutex_);
    ++slices_told_;
  };
  callbacks.phase_ended = [this](int64_t) {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
  };
  std::vector<const v1::ApplicationServer*> servers;
  for (v1::ApplicationServer& server : *assignment_.mutable_application_servers()) {
    server.set_connections(assignment_.pool().size());
    servers.push_back(&server);
  }
  client_seeds_ = ClientSeeds(assignment_);
  reactor_ =
      std::make_unique<Reactor>(assignment_, servers, client_seeds_, lease_ends_ns_, std::move(callbacks));
  absl::MutexLock lock(&mutex_);
  EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&told_), kPatience)) << "neither ready nor failed";
  return told_ && failure_.empty();
}

uint32_t ReactorFixture::connections() const {
  absl::MutexLock lock(&mutex_);
  return connections_;
}

std::string ReactorFixture::failure() const {
  absl::MutexLock lock(&mutex_);
  return failure_;
}

int ReactorFixture::slices_told() const {
  absl::MutexLock lock(&mutex_);
  return slices_told_;
}

void ReactorFixture::StartPhase(uint32_t phase, absl::Duration from_now) {
  {
    absl::MutexLock lock(&mutex_);
    ended_ = false;
    slices_told_ = 0;
  }
  measured_.emplace(reactor_->recorder().commands_of_scripts());
  slices_ = 0;
  reactor_->StartPhase(phase, SystemClock().MonotonicNanos() + absl::ToInt64Nanoseconds(from_now));
}

Slice ReactorFixture::End() {
  {
    absl::MutexLock lock(&mutex_);
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&ended_), kPatience)) << "the phase does not end";
  }
  Collect();
  return *std::exchange(measured_, std::nullopt);
}

void ReactorFixture::Collect() {
  while (std::unique_ptr<Slice> slice = reactor_->recorder().Collect()) {
    if (slices_++ == 0) measured_->first_second = slice->first_second;
    measured_->last_second = slice->last_second;
    measured_->Merge(*slice);
    reactor_->recorder().Recycle(std::move(slice));
  }
}

void ReactorFixture::WaitUntilMeasured(absl::FunctionRef<bool(const Slice&)> there) {
  WaitUntil([&] {
    Collect();
    return there(*measured_);
  });
}

Slice ReactorFixture::Run(uint32_t phase) {
  StartPhase(phase);
  return End();
}

void ReactorFixture::WaitUntil(absl::FunctionRef<bool()> there) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!there()) {
    ASSERT_LT(absl::Now(), deadline) << "what was waited for does not come";
    absl::SleepFor(absl::Milliseconds(1));
  }
}

std::map<std::string, uint64_t> Errors(const ErrorCounts& errors) {
  google::protobuf::Map<std::string, uint64_t> counts;
  errors.AddTo(counts);
  return {counts.begin(), counts.end()};
}

uint64_t Sum(const ErrorCounts& errors) {
  uint64_t sum = 0;
  for (const auto& [code, count] : Errors(errors)) sum += count;
  return sum;
}

void ExpectSums(const ScriptSlice& script) {
  EXPECT_EQ(script.offered, script.transactions + Sum(script.errors) + script.dropped + script.skipped);
  for (const Histogram* histogram :
       {&script.response, &script.service, &script.pool_wait, &script.send_lag}) {
    EXPECT_EQ(histogram->count(), script.transactions);
  }
  EXPECT_EQ(script.failed.count(), Sum(script.errors));
}

}  // namespace trunkload

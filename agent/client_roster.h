#pragma once

#include <cstdint>
#include <vector>

#include "agent/client.h"
#include "agent/pool.h"
#include "agent/reactor_parts.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// The clients of one application server, by number: those of a closed load, or in open load one for each
// connection. Who they are in the fleet, what they have yet to start in the phase, and which of them go on.
// Not thread-safe.
class ClientRoster {
 public:
  // `server` must outlive it.
  ClientRoster(const ReactorParts& parts, const v1::ApplicationServer& server);

  // In the fleet.
  uint32_t NumberOf(uint32_t client) const { return first_number_ + client * number_step_; }
  // Whether any of the scripts is in pgbench's language; only then there are Clients.
  bool run_scripts() const { return !clients_.empty(); }
  Client& client(uint32_t client) { return clients_[client]; }

  // A phase begins. Transactions that are limited in number are dealt out beforehand, so that each client
  // runs the same ones however fast it is.
  void StartClosed(const v1::Phase& phase, const v1::PhaseShare& share);
  void StartOpen(uint64_t transactions, uint32_t connections);
  // Nothing more is to be started.
  void Stop();

  // How many transactions are left for all; in closed load, whether one is for a client.
  uint64_t left_to_start() const { return left_to_start_; }
  bool MayStart(uint32_t client) const { return counts_[client].left_to_start > 0; }
  // One of them is started; `client` may be kNoClient, in open load.
  void Start(int32_t client) {
    --left_to_start_;
    if (client != kNoClient) --counts_[static_cast<uint32_t>(client)].left_to_start;
  }
  // One that failed is to be started again.
  void StartAgain(uint32_t client) {
    ++left_to_start_;
    ++counts_[client].left_to_start;
  }
  // A transaction has ended: the client's first in the phase is 1.
  uint64_t CountEnded(uint32_t client) { return ++counts_[client].ended; }

  // It has ended before the phase does, and what it had left is not started; kNoClient in open load.
  void Lose(int32_t client);
  // Those that go on, in open load as many as there are connections that transactions are run on.
  uint32_t live() const { return live_; }
  bool lost_any() const { return lost_any_; }

 private:
  struct Counts {
    uint64_t left_to_start = 0;  // in closed load
    uint64_t ended = 0;
  };

  const uint32_t first_number_;
  const uint32_t number_step_;
  std::vector<Client> clients_;
  // In the phase.
  std::vector<Counts> counts_;
  uint64_t left_to_start_ = 0;
  uint32_t live_ = 0;
  bool lost_any_ = false;
};

}  // namespace trunkload

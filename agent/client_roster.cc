#include "agent/client_roster.h"

#include <algorithm>
#include <utility>

namespace trunkload {
namespace {

// More transactions than a client can start in the longest phase; all clients' together fit into 64 bits.
constexpr uint64_t kUnlimited = uint64_t{1} << 40;

}  // namespace

ClientRoster::ClientRoster(const ReactorParts& parts, const v1::ApplicationServer& server)
    : first_number_(server.number()), number_step_(parts.assignment.fleet_application_servers()) {
  uint32_t count = server.connections();
  for (const v1::PhaseShare& share : server.shares()) count = std::max(count, share.clients());
  counts_.resize(count);
  if (!parts.scripts.any_text()) return;
  clients_.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    clients_.emplace_back(parts.clients,
                          Client::Identity{.number = NumberOf(i),
                                           .agent = parts.assignment.agent(),
                                           .agents = parts.assignment.agents(),
                                           .plan_seed = parts.assignment.seed(),
                                           .generation = server.generation()},
                          parts.assignment.variables());
  }
}

void ClientRoster::StartClosed(const v1::Phase& phase, const v1::PhaseShare& share) {
  StartOpen(/*transactions=*/0, share.clients());
  for (uint32_t client = 0; client < share.clients(); ++client) {
    counts_[client].left_to_start =
        phase.has_transactions()
            ? share.transactions() / share.clients() + (client < share.transactions() % share.clients())
            : kUnlimited;
    left_to_start_ += counts_[client].left_to_start;
  }
}

void ClientRoster::StartOpen(uint64_t transactions, uint32_t connections) {
  std::fill(counts_.begin(), counts_.end(), Counts());
  left_to_start_ = transactions;
  live_ = connections;
  lost_any_ = false;
}

void ClientRoster::Stop() {
  left_to_start_ = 0;
  for (Counts& counts : counts_) counts.left_to_start = 0;
}

void ClientRoster::Lose(int32_t client) {
  lost_any_ = true;
  --live_;
  if (client != kNoClient) {
    left_to_start_ -= std::exchange(counts_[static_cast<uint32_t>(client)].left_to_start, 0);
  } else if (live_ == 0) {
    // Nobody is left to run what comes due.
    left_to_start_ = 0;
  }
}

}  // namespace trunkload

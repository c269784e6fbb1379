#include "agent/connector.h"

#include <algorithm>
#include <utility>

#include "common/duration.h"

namespace trunkload {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
// Few enough for the server's listen queue.
constexpr uint32_t kOpenAtOnce = 32;
constexpr int64_t kFirstBackoff = 50 * kMillisecond;
constexpr int64_t kLongestBackoff = 2'000 * kMillisecond;

}  // namespace

Connector::Connector(const ReactorParts& parts, uint32_t server, uint32_t number, size_t connections,
                     uint64_t seed)
    : parts_(parts),
      server_(server),
      number_(number),
      timeout_ns_(absl::ToInt64Nanoseconds(FromProto(parts.assignment.pool().connect_timeout()))),
      jitter_(seed) {
  wanted_.reserve(connections);
  for (const std::string& conninfo : parts.assignment.conninfos()) {
    v1::Target& target = targets_.emplace_back(parts.assignment.target());
    target.set_conninfo(conninfo);
  }
  if (targets_.empty()) targets_.push_back(parts.assignment.target());
}

std::optional<uint32_t> Connector::TakeNext() {
  if (wanted_.empty() || opening_ >= kOpenAtOnce) return std::nullopt;
  const uint32_t connection = wanted_.back();
  wanted_.pop_back();
  return connection;
}

bool Connector::Open(Link& link, std::span<const Statement> statements, int64_t now) {
  ++opening_;
  link.opening_since = now;
  // One timer serves all attempts: in reconnect mode there may be thousands before it is due.
  if (!std::exchange(link.connect_timeout_armed, true)) {
    parts_.timers.Add({now + timeout_ns_, TimerKind::kConnectTimeout, server_, link.index});
  }
  const v1::Target& target = targets_[(uint64_t{number_} + link.index) % targets_.size()];
  return link.connection.Open(target, statements) != PqConnection::Progress::kBroken;
}

void Connector::OnOpened(Link& link) {
  --opening_;
  link.opening_since = 0;
  link.failed_attempts = 0;
}

void Connector::OnNotOpened(Link& link) {
  --opening_;
  link.opening_since = 0;
  ++link.failed_attempts;
}

void Connector::GiveUp(Link& link) {
  if (std::exchange(link.opening_since, 0) != 0) --opening_;
}

void Connector::BackOff(Link& link, int64_t now) {
  const uint32_t doublings = std::min(link.failed_attempts, 10u);
  const int64_t backoff = std::min(kLongestBackoff, kFirstBackoff << doublings);
  const auto jittered = static_cast<int64_t>(static_cast<double>(backoff) * (0.5 + jitter_.Uniform() / 2));
  link.backing_off = true;
  parts_.timers.Add({now + jittered, TimerKind::kReconnect, server_, link.index});
}

bool Connector::TimedOut(Link& link, int64_t now) {
  link.connect_timeout_armed = false;
  if (link.opening_since == 0) return false;
  if (const int64_t at = link.opening_since + timeout_ns_; at > now) {  // a later attempt's
    link.connect_timeout_armed = true;
    parts_.timers.Add({at, TimerKind::kConnectTimeout, server_, link.index});
    return false;
  }
  link.connection.GiveUpOpening();
  return true;
}

}  // namespace trunkload

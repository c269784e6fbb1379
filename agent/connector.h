#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "agent/link.h"
#include "agent/reactor_parts.h"
#include "common/random.h"

namespace trunkload {

// Opens the connections of one application server, a few at a time, and those again that broke, after a
// back-off that doubles, with jitter. Not thread-safe.
class Connector {
 public:
  // `server`: the application server's index in its reactor; `number`: in the fleet.
  Connector(const ReactorParts& parts, uint32_t server, uint32_t number, size_t connections, uint64_t seed);

  // It is to be opened, by its number, when its turn comes.
  void Want(uint32_t connection) { wanted_.push_back(connection); }
  // The last that was wanted, once another may be opened at the same time.
  std::optional<uint32_t> TakeNext();
  // Opens it and prepares `statements`. False where that failed at once: it is closed then.
  bool Open(Link& link, std::span<const Statement> statements, int64_t now);
  // It is open.
  void OnOpened(Link& link);
  // It could not be opened.
  void OnNotOpened(Link& link);
  // It is no longer to be opened.
  void GiveUp(Link& link);
  // Has it wait for a kReconnect.
  void BackOff(Link& link, int64_t now);
  // At a kConnectTimeout: whether it took too long, and is closed.
  bool TimedOut(Link& link, int64_t now);

 private:
  const ReactorParts& parts_;
  const uint32_t server_;
  const uint32_t number_;
  // Each goes to another host first.
  std::vector<v1::Target> targets_;
  const int64_t timeout_ns_;
  std::vector<uint32_t> wanted_;
  uint32_t opening_ = 0;
  Random jitter_;
};

}  // namespace trunkload

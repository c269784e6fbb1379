#pragma once

#include <cstdint>

namespace trunkload {

// What an event of a reactor's epoll set is about, as the 64 bits that the event carries: a connection, a
// command of the shell that the transaction on a connection runs, or one of the reactor's own two sources.
struct EventTag {
  static constexpr uint32_t kReactor = UINT32_MAX;
  enum ReactorEvent : uint32_t { kCommand, kTimer };

  static constexpr uint32_t kShell = 1u << 31;

  static EventTag Of(uint64_t data) {
    return {static_cast<uint32_t>(data >> 32), static_cast<uint32_t>(data)};
  }
  uint64_t data() const { return uint64_t{server} << 32 | connection; }

  uint32_t server;      // index of the application server in its reactor, or kReactor
  uint32_t connection;  // index in its application server, and kShell or not; of kReactor, a ReactorEvent
};

}  // namespace trunkload

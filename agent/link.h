#pragma once

#include <cstdint>

#include "agent/event_tag.h"
#include "agent/pq_connection.h"
#include "agent/recorder.h"

namespace trunkload {

// One connection of an application server, and what it does there.
struct Link {
  Link(int epoll_fd, EventTag tag) : index(tag.connection), connection(epoll_fd, tag) {}

  struct InFlight {
    TransactionTimes times;
    uint32_t script;
    int32_t client;       // kNoClient in open load
    bool active = false;  // a transaction holds this connection
  };

  const uint32_t index;
  InFlight transaction;
  PqConnection connection;
  // Of its Connector.
  int64_t opening_since = 0;  // 0: it is not being opened
  bool connect_timeout_armed = false;
  bool backing_off = false;
  uint32_t failed_attempts = 0;
  // Its transaction sleeps until then, or has ended without a statement and is looked at then; 0: neither.
  int64_t wakes_at = 0;
  bool ended_early = false;
  // In open load: its client has ended, and nothing is run on it until the phase has.
  bool retired = false;
};

}  // namespace trunkload

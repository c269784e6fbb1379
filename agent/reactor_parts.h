#pragma once

#include "agent/client.h"
#include "agent/recorder.h"
#include "agent/scripts.h"
#include "agent/timer_queue.h"
#include "common/clock.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// What the application servers of one reactor share.
struct ReactorParts {
  const v1::Assignment& assignment;
  const SystemClock& clock;
  int epoll_fd;
  Recorder& recorder;
  TimerQueue& timers;
  Scripts& scripts;
  const Client::Parts& clients;
};

}  // namespace trunkload

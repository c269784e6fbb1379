#pragma once

#include <cstdint>
#include <vector>

#include "agent/error_counts.h"
#include "common/histogram.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// What was measured of one script in one slice; the fields are those of ScriptInterval in fleet.proto.
struct ScriptSlice {
  uint64_t offered = 0;
  uint64_t transactions = 0;
  uint64_t rows = 0;
  uint64_t dropped = 0;
  ErrorCounts errors;
  Histogram response;
  Histogram service;
  Histogram pool_wait;
  Histogram send_lag;
  Histogram failed;

  void Merge(const ScriptSlice& other);
  void Clear();
};

// What was measured in some seconds of a phase, before it is put into an Interval. About 1 MiB a script.
struct Slice {
  explicit Slice(size_t scripts) : scripts(scripts) {}

  uint32_t first_second = 0;
  uint32_t last_second = 0;
  std::vector<ScriptSlice> scripts;
  Histogram schedule_lag;
  uint64_t reactor_cpu_ns = 0;
  double busiest_reactor = 0;
  uint64_t connections_lost = 0;
  ErrorCounts connect_errors;
  uint64_t last_completion_ns = 0;

  // Everything but the seconds, which the caller knows.
  void Merge(const Slice& other);
  void Clear();
  v1::Interval ToInterval(uint32_t phase, uint64_t number) const;
};

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/error_counts.h"
#include "common/frequent_keys.h"
#include "common/histogram.h"
#include "common/ledger.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// What was measured of one command of a script; the fields are those of CommandInterval in fleet.proto.
struct CommandSlice {
  Histogram latency;
  uint64_t failures = 0;
  uint64_t retries = 0;

  void Merge(const CommandSlice& other);
  void Clear();
};

// What was measured of one script in one slice; the fields are those of ScriptInterval in fleet.proto.
struct ScriptSlice {
  // `commands`: how many of the script's are measured.
  explicit ScriptSlice(size_t commands = 0) : commands(commands) {}

  uint64_t offered = 0;
  uint64_t transactions = 0;
  uint64_t rows = 0;
  uint64_t dropped = 0;
  uint64_t skipped = 0;
  uint64_t late = 0;
  uint64_t retried = 0;
  uint64_t retries = 0;
  uint64_t deadlock_retries = 0;
  ErrorCounts errors;
  std::map<std::string, std::string, std::less<>> error_messages;
  Histogram response;
  Histogram service;
  Histogram pool_wait;
  Histogram send_lag;
  Histogram failed;
  std::vector<CommandSlice> commands;
  FrequentKeys keys;
  // Of a script that is recorded.
  Ledger ledger;
  v1::Findings findings;

  // Keeps the message of the first error of each kind.
  void AddError(std::string_view code, std::string_view message);
  void Merge(const ScriptSlice& other);
  void Clear();
};

// What was measured in some seconds of a phase, before it is put into an Interval. About 1 MiB a script, and
// 0.2 MiB for each command that is measured.
struct Slice {
  // For each script how many of its commands are measured.
  explicit Slice(const std::vector<size_t>& commands_of_scripts);

  uint32_t first_second = 0;
  uint32_t last_second = 0;
  std::vector<ScriptSlice> scripts;
  Histogram schedule_lag;
  uint64_t reactor_cpu_ns = 0;
  double busiest_reactor = 0;
  uint64_t connections_lost = 0;
  ErrorCounts connect_errors;
  uint64_t last_completion_ns = 0;
  uint64_t aborted_clients = 0;
  v1::TransactionLog log;

  // Everything but the seconds, which the caller knows.
  void Merge(const Slice& other);
  void Clear();
  v1::Interval ToInterval(uint32_t phase, uint64_t number) const;
};

}  // namespace trunkload

#pragma once

#include <string>
#include <vector>

#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What one script did over the recorded phases of a run: rates and means of all of them, percentiles of the
// worst.
struct ScriptFigures {
  struct Command {
    std::string text;
    double mean_us = 0;  // 0: it never succeeded
    uint64_t count = 0;
  };

  std::string name;
  double done_per_s = 0;
  double mean_us = 0;
  double p99_us = 0;
  uint64_t offered = 0;
  uint64_t transactions = 0;
  uint64_t failed = 0;  // given up
  uint64_t retries = 0;
  uint64_t deadlock_retries = 0;
  // SQL only, and not what begins a transaction, which is a round trip and no more; none where commands were
  // not measured.
  std::vector<Command> commands;

  // Retries of one transaction, on average; and of those, the ones after a deadlock.
  double retries_each() const { return EachOf(retries); }
  double deadlock_retries_each() const { return EachOf(deadlock_retries); }
  double failed_each() const { return EachOf(failed); }
  // Of the command that commits; 0: there is none, or it was not measured.
  double commit_us() const;

 private:
  double EachOf(uint64_t count) const {
    return offered > 0 ? static_cast<double>(count) / static_cast<double>(offered) : 0;
  }
};

// Those that came due at all, in the plan's order.
std::vector<ScriptFigures> ScriptFiguresOf(const v1::RunResult& result);

// What an SQL command is called in a table: its first word, in upper case; "COMMIT" for END, too. Empty for a
// meta command.
std::string CommandName(const std::string& text);

}  // namespace trunkload

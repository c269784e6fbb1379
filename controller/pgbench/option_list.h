#pragma once

#include <getopt.h>

namespace trunkload {

// The options of `trunkload pgbench`, as getopt_long takes them. What LongOption names has no letter.
enum LongOption : int {
  kForeignKeys = 1000,
  kIndexTablespace,
  kTablespace,
  kUnloggedTables,
  kPartitions,
  kPartitionMethod,
  kSamplingRate,
  kAggregateInterval,
  kProgressTimestamp,
  kLogPrefix,
  kRandomSeed,
  kShowScript,
  kFailuresDetailed,
  kMaxTries,
  kVerboseErrors,
  kContinueOnError,
  kExitOnAbort,
  kDebug,
  kAgents,
  kListen,
  kController,
  kTls,
  kTlsServerName,
  kInsecure,
  kWait,
  kAllowShell,
  kLoaders,
  kDistribution,
  kDistributeBy,
  kHelp,
};

extern const char kShortOptions[];
// Ends with one that has no name.
extern const option kLongOptions[];

}  // namespace trunkload

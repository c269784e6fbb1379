#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/pgbench/options.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// pgbench's -l: a file for each agent, PREFIX.PID of the first and PREFIX.PID.N of the others, with a line
// for each transaction, or for each --aggregate-interval. Not thread-safe.
class TransactionLogFiles {
 public:
  // `options` must outlive it. `pid`: of this process.
  TransactionLogFiles(const PgbenchOptions& options, int64_t pid) : options_(options), pid_(pid) {}
  // Writes what is left.
  ~TransactionLogFiles();

  // Opens the first agent's file: what would go wrong later does so before the run.
  absl::Status Open();
  // `agent`: from 0. `phase_start_us`: since 1970, UTC. After an error nothing more is written.
  absl::Status Add(uint32_t agent, int64_t phase_start_us, const v1::TransactionLog& log);
  // Writes what is left, of unfinished intervals too.
  absl::Status Close();

 private:
  // In microseconds, as pgbench has them.
  struct Spread {
    double sum = 0;
    double squares = 0;
    double min = 0;
    double max = 0;

    void Add(double value, bool first);
  };
  struct Aggregate {
    int64_t start_s = 0;
    uint64_t count = 0;
    Spread latency;
    Spread lag;
    uint64_t skipped = 0;
    uint64_t retried = 0;
    uint64_t retries = 0;
    uint64_t serialization = 0;
    uint64_t deadlock = 0;
    uint64_t other = 0;
  };
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  struct File {
    std::string name;
    std::unique_ptr<std::FILE, CloseFile> stream;
    Aggregate aggregate;
  };

  absl::StatusOr<File*> FileOf(uint32_t agent);
  void WriteLine(File& file, int64_t phase_start_us, const v1::TransactionLog& log, int index) const;
  void Aggregated(File& file, int64_t phase_start_us, const v1::TransactionLog& log, int index) const;
  void WriteAggregate(File& file) const;

  const PgbenchOptions& options_;
  const int64_t pid_;
  std::map<uint32_t, File> files_;
  absl::Status status_;
};

}  // namespace trunkload

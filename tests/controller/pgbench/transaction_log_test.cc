#include "controller/pgbench/transaction_log.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;
using Outcome = v1::TransactionLog::Outcome;

constexpr int64_t kPhaseStartMicros = 1'700'000'000'900'000;

class TransactionLogTest : public testing::Test {
 protected:
  TransactionLogTest() { options_.log_prefix = absl::StrCat(testing::TempDir(), "/transaction_log_test.", getpid()); }
  ~TransactionLogTest() override {
    for (const char* end : {"", ".1"}) std::filesystem::remove(Path(end));
  }

  std::string Path(const std::string& end) const { return absl::StrCat(options_.log_prefix, ".7", end); }
  std::string Read(const std::string& end = "") const {
    std::ifstream in(Path(end));
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static void Add(v1::TransactionLog& log, uint32_t client, Outcome outcome, int64_t ended_us,
                  int64_t response_us, uint32_t retries = 0) {
    log.add_client(client);
    log.add_number(static_cast<uint64_t>(log.number_size()) + 1);
    log.add_script(client % 2);
    log.add_outcome(outcome);
    log.add_ended_us(ended_us);
    log.add_response_us(response_us);
    log.add_send_lag_us(response_us / 10);
    log.add_retries(retries);
  }
  static v1::TransactionLog OneOfEach() {
    v1::TransactionLog log;
    Add(log, 3, v1::TransactionLog::OUTCOME_SUCCEEDED, 50'000, 1'000);
    Add(log, 2, v1::TransactionLog::OUTCOME_SERIALIZATION, 60'000, 2'000, 2);
    Add(log, 3, v1::TransactionLog::OUTCOME_SKIPPED, 100'001, 0);
    Add(log, 4, v1::TransactionLog::OUTCOME_DEADLOCK, 1'200'000, 3'000);
    Add(log, 5, v1::TransactionLog::OUTCOME_OTHER, 1'300'000, 4'000);
    return log;
  }
  std::string Written(const v1::TransactionLog& log) {
    TransactionLogFiles files(options_, 7);
    EXPECT_TRUE(files.Add(0, kPhaseStartMicros, log).ok());
    EXPECT_TRUE(files.Close().ok());
    return Read();
  }

  PgbenchOptions options_;
};

TEST_F(TransactionLogTest, HasALineForEach) {
  EXPECT_EQ(Written(OneOfEach()),
            "3 1 1000 1 1700000000 950000\n2 2 failed 0 1700000000 960000\n3 3 skipped 1 1700000001 1\n"
            "4 4 failed 0 1700000002 100000\n5 5 failed 1 1700000002 200000\n");
}

TEST_F(TransactionLogTest, HasWhatTheOptionsAskFor) {
  options_.failures_detailed = true;
  options_.rate_per_s = 10;
  options_.max_tries = 3;
  EXPECT_EQ(Written(OneOfEach()),
            "3 1 1000 1 1700000000 950000 100 0\n2 2 serialization 0 1700000000 960000 0 2\n"
            "3 3 skipped 1 1700000001 1 0 0\n4 4 deadlock 0 1700000002 100000 0 0\n"
            "5 5 other 1 1700000002 200000 0 0\n");
}

TEST_F(TransactionLogTest, AddsIntervalsUp) {
  options_.aggregate_interval_s = 1;
  options_.rate_per_s = 10;
  options_.failures_detailed = true;
  v1::TransactionLog log = OneOfEach();
  Add(log, 1, v1::TransactionLog::OUTCOME_SUCCEEDED, 1'400'000, 500);
  Add(log, 1, v1::TransactionLog::OUTCOME_SUCCEEDED, 3'500'000, 700);
  Add(log, 1, v1::TransactionLog::OUTCOME_SUCCEEDED, 3'600'000, 100);
  EXPECT_EQ(Written(log),
            "1700000000 1 1000 1000000 1000 1000 100 10000 100 100 0 1 2 1 0\n"
            "1700000001 0 0 0 0 0 0 0 0 0 1 0 0 0 0\n"
            "1700000002 1 500 250000 500 500 50 2500 50 50 0 0 0 0 1\n"
            "1700000003 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
            "1700000004 2 800 500000 100 700 80 5000 10 70 0 0 0 0 0\n");
}

TEST_F(TransactionLogTest, WhatThreadsToldOneAfterTheOtherIsInOrder) {
  v1::TransactionLog log;
  Add(log, 1, v1::TransactionLog::OUTCOME_SUCCEEDED, 90'000, 10);
  Add(log, 1, v1::TransactionLog::OUTCOME_SUCCEEDED, 150'000, 20);
  Add(log, 2, v1::TransactionLog::OUTCOME_SUCCEEDED, 80'000, 30);
  EXPECT_EQ(Written(log),
            "2 3 30 0 1700000000 980000\n1 1 10 1 1700000000 990000\n1 2 20 1 1700000001 50000\n");
  options_.aggregate_interval_s = 1;
  EXPECT_EQ(Written(log),
            "1700000000 2 40 1000 10 30 0 0 0 0 0 0 0 0 0\n1700000001 1 20 400 20 20 0 0 0 0 0 0 0 0 0\n");
}

TEST_F(TransactionLogTest, EachAgentHasAFile) {
  TransactionLogFiles files(options_, 7);
  ASSERT_TRUE(files.Open().ok());
  ASSERT_TRUE(files.Add(1, kPhaseStartMicros, OneOfEach()).ok());
  ASSERT_TRUE(files.Close().ok());
  EXPECT_EQ(Read(), "");
  EXPECT_THAT(Read(".1"), HasSubstr("3 1 1000"));
}

TEST_F(TransactionLogTest, SaysWhatCanNotBeWritten) {
  options_.log_prefix = "/nowhere/log";
  TransactionLogFiles files(options_, 7);
  EXPECT_THAT(std::string(files.Open().message()), HasSubstr("/nowhere/log.7: No such file"));
}

TEST_F(TransactionLogTest, AFullDiskIsSaid) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  std::filesystem::create_symlink("/dev/full", Path(""));
  TransactionLogFiles files(options_, 7);
  ASSERT_TRUE(files.Open().ok());
  EXPECT_THAT(std::string(files.Add(0, kPhaseStartMicros, OneOfEach()).message()),
              HasSubstr("No space left"));
  EXPECT_FALSE(files.Close().ok());
}

}  // namespace
}  // namespace trunkload

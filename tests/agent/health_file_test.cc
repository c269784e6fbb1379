#include "agent/health_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;

class WallClock : public Clock {
 public:
  int64_t MonotonicNanos() const override { return 0; }
  int64_t WallNanos() const override { return absl::ToUnixNanos(now); }

  absl::Time now;
};

class HealthFileTest : public testing::Test {
 protected:
  HealthFileTest() : folder_(testing::TempDir() + "health-XXXXXX") {
    if (mkdtemp(folder_.data()) == nullptr) ADD_FAILURE() << "no folder " << folder_;
    path_ = folder_ + "/health";
  }
  ~HealthFileTest() override { std::filesystem::remove_all(folder_); }

  bool there() const { return std::filesystem::exists(path_); }
  void Date(absl::Time time) {
    const timespec times[] = {absl::ToTimespec(time), absl::ToTimespec(time)};
    ASSERT_EQ(utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
  }
  // Whether the file is touched: it has the year 2000 before.
  bool Touches(HealthFile& file, int64_t confirmed_ns) {
    const absl::Time before = absl::FromCivil(absl::CivilYear(2000), absl::UTCTimeZone());
    if (there()) Date(before);
    EXPECT_EQ(file.OnConfirmed(confirmed_ns), absl::OkStatus());
    struct stat now;
    return stat(path_.c_str(), &now) == 0 && absl::TimeFromTimespec(now.st_mtim) > before;
  }

  std::string folder_;
  std::string path_;
};

TEST_F(HealthFileTest, IsTouchedForAnsweredHeartbeatsNotMoreOftenThanOnceASecond) {
  HealthFile file(path_);
  ASSERT_EQ(file.Begin(), absl::OkStatus());
  EXPECT_FALSE(Touches(file, INT64_MIN)) << "none was answered";
  EXPECT_FALSE(there());
  EXPECT_TRUE(Touches(file, 5));
  EXPECT_FALSE(Touches(file, 5)) << "nothing new";
  EXPECT_FALSE(Touches(file, 4 + kSecond));
  EXPECT_TRUE(Touches(file, 5 + kSecond));
  file.Remove();
  EXPECT_FALSE(there());
}

TEST_F(HealthFileTest, WhatWasLeftThereSaysNothing) {
  ASSERT_EQ(HealthFile(path_).OnConfirmed(5), absl::OkStatus());
  ASSERT_TRUE(there());
  ASSERT_EQ(HealthFile(path_).Begin(), absl::OkStatus());
  EXPECT_FALSE(there());
}

TEST_F(HealthFileTest, CantBeWritten) {
  const absl::Status status = HealthFile(folder_ + "/missing/health").Begin();
  EXPECT_THAT(std::string(status.message()), HasSubstr("/missing/health: No such file or directory"));
}

TEST_F(HealthFileTest, NoPathIsNoFile) {
  HealthFile file("");
  EXPECT_EQ(file.Begin(), absl::OkStatus());
  EXPECT_EQ(file.OnConfirmed(5), absl::OkStatus());
  file.Remove();
}

TEST_F(HealthFileTest, IsStaleAfterTenSeconds) {
  WallClock clock;
  clock.now = absl::FromUnixSeconds(1'800'000'000);
  EXPECT_THAT(std::string(CheckHealthFile(path_, clock).message()), HasSubstr("no health file " + path_));
  ASSERT_EQ(HealthFile(path_).OnConfirmed(5), absl::OkStatus());
  Date(clock.now);
  EXPECT_EQ(CheckHealthFile(path_, clock), absl::OkStatus());
  Date(clock.now - absl::Seconds(10));
  EXPECT_EQ(CheckHealthFile(path_, clock), absl::OkStatus());
  Date(clock.now - absl::Milliseconds(12'700));
  EXPECT_THAT(std::string(CheckHealthFile(path_, clock).message()), HasSubstr("for 12s"));
  Date(clock.now + absl::Minutes(1));
  EXPECT_THAT(std::string(CheckHealthFile(path_, clock).message()), HasSubstr("future"));
  EXPECT_FALSE(CheckHealthFile(path_ + "/below", clock).ok());
}

}  // namespace
}  // namespace trunkload

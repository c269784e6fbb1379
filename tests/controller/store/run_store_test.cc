#include "controller/store/run_store.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::HasSubstr;

class RunStoreTest : public testing::Test {
 protected:
  RunStoreTest() {
    char path[] = "/tmp/trunkload-store-XXXXXX";
    folder_ = mkdtemp(path);
  }
  ~RunStoreTest() override { std::filesystem::remove_all(folder_); }

  std::string data_dir() const { return folder_ + "/data"; }
  std::string file() const { return data_dir() + "/trunkload.db"; }
  std::unique_ptr<RunStore> Open(bool resumable = true) {
    absl::StatusOr<std::unique_ptr<RunStore>> store = RunStore::Open(data_dir(), resumable);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  std::string folder_;
};

RunSnapshot Snapshot(const std::string& run_id, uint32_t second, int64_t began_s = 1'795'000'000) {
  RunSnapshot snapshot;
  snapshot.run.set_run_id(run_id);
  snapshot.run.mutable_plan()->set_name("plan of " + run_id);
  snapshot.run.set_began_wall_ns(began_s * 1'000'000'000);
  snapshot.run.set_version(second);
  RunSnapshot::Phase& phase = snapshot.phases.emplace_back();
  phase.state.set_last_completion_ns(second);
  phase.points.emplace_back().set_second(second);
  phase.points.back().set_transactions(second * 10);
  return snapshot;
}

v1::RunResult Result(const std::string& run_id, const std::string& started_at = "2026-11-20T10:00:00+00:00") {
  v1::RunResult result;
  result.mutable_run()->set_id(run_id);
  result.mutable_run()->mutable_plan()->set_name("p");
  result.mutable_run()->set_started_at(started_at);
  result.mutable_verdict()->add_reasons("an agent was lost");
  v1::PhaseResult& warm_up = *result.add_phases();
  warm_up.set_duration_s(5);
  warm_up.set_transactions(1'000'000);
  v1::PhaseResult& measured = *result.add_phases();
  measured.set_recorded(true);
  measured.set_duration_s(10);
  measured.set_transactions(5000);
  result.add_objectives()->set_met(false);
  return result;
}

TEST_F(RunStoreTest, KeepsARunFromItsFirstSnapshotToItsResult) {
  auto store = Open();
  ASSERT_TRUE(store->Save(Snapshot("r1", 0)).ok());
  ASSERT_TRUE(store->Save(Snapshot("r1", 1)).ok());
  auto runs = store->List();
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->size(), 1);
  EXPECT_EQ((*runs)[0].state(), v1::RunSummary::STATE_UNDER_WAY);
  EXPECT_EQ((*runs)[0].plan(), "plan of r1");
  EXPECT_THAT(std::string(store->Result("r1").status().message()), HasSubstr("is under way"));
  ASSERT_TRUE(store->Finish(Result("r1")).ok());
  EXPECT_TRUE(MessageDifferencer::Equals(*Open()->Result("r1"), Result("r1")));
  runs = store->List();
  EXPECT_EQ((*runs)[0].state(), v1::RunSummary::STATE_ENDED);
  EXPECT_FALSE((*runs)[0].valid());
  EXPECT_FALSE((*runs)[0].objectives_met());
  EXPECT_EQ((*runs)[0].throughput_per_s(), 500) << "of recorded phases";
  EXPECT_EQ((*runs)[0].reason(), "an agent was lost");
  EXPECT_TRUE(absl::IsNotFound(store->Result("r2").status()));
}

TEST_F(RunStoreTest, ARunThatCouldNotRunIsKeptWithItsReason) {
  auto store = Open();
  v1::RunSummary failed;
  failed.set_run_id("r1");
  failed.set_started_at("2026-11-20T10:00:00+00:00");
  failed.set_reason("no such database");
  ASSERT_TRUE(store->Fail(failed).ok());
  EXPECT_EQ(store->List()->front().state(), v1::RunSummary::STATE_FAILED);
  EXPECT_THAT(std::string(store->Result("r1").status().message()),
              HasSubstr("could not run: no such database"));
}

TEST_F(RunStoreTest, NewestFirstAndPrunedByAge) {
  auto store = Open();
  ASSERT_TRUE(store->Finish(Result("old", "2026-01-01T00:00:00+00:00")).ok());
  ASSERT_TRUE(store->Finish(Result("new", "2026-11-01T00:00:00+00:00")).ok());
  ASSERT_TRUE(store->Save(Snapshot("under-way", 0, 1'000'000'000)).ok());
  EXPECT_EQ(store->List()->front().run_id(), "new");
  absl::StatusOr<int> pruned = store->Prune(absl::FromCivil(absl::CivilDay(2026, 6, 1), absl::UTCTimeZone()));
  ASSERT_TRUE(pruned.ok()) << pruned.status();
  EXPECT_EQ(*pruned, 1);
  EXPECT_TRUE(absl::IsNotFound(store->Result("old").status()));
  EXPECT_EQ(store->List()->size(), 2) << "one that is under way stays, however old";
}

TEST_F(RunStoreTest, PruningGivesSpaceBack) {
  auto store = Open();
  v1::RunResult large = Result("large");
  large.mutable_run()->set_version(std::string(4 << 20, 'x'));
  ASSERT_TRUE(store->Finish(large).ok());
  store.reset();
  EXPECT_GT(std::filesystem::file_size(file()), 4 << 20);
  ASSERT_TRUE(Open()->Prune(absl::InfiniteFuture()).ok());
  EXPECT_LT(std::filesystem::file_size(file()), 1 << 20);
}

// A process saves second after second and is killed: what it was told is saved is there, and another one goes
// on.
TEST_F(RunStoreTest, AKilledProcessLosesNothingThatWasSaved) {
  int told[2];
  ASSERT_EQ(pipe(told), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto store = RunStore::Open(data_dir(), /*resumable=*/true);
    for (uint32_t second = 0; store.ok() && (*store)->Save(Snapshot("r1", second)).ok(); ++second) {
      if (write(told[1], &second, sizeof(second)) < 0) break;
    }
    _exit(1);
  }
  uint32_t last = 0;
  while (last < 20) ASSERT_EQ(read(told[0], &last, sizeof(last)), sizeof(last));
  auto store = Open();
  EXPECT_FALSE(store->TakeOverInterrupted()->has_value()) << "it lives";
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(told[1]);
  while (read(told[0], &last, sizeof(last)) == sizeof(last)) {
  }
  close(told[0]);
  EXPECT_EQ(store->List()->front().state(), v1::RunSummary::STATE_INTERRUPTED);
  const absl::StatusOr<std::optional<RunSnapshot>> taken = store->TakeOverInterrupted();
  ASSERT_TRUE(taken.ok()) << taken.status();
  ASSERT_TRUE(taken->has_value());
  EXPECT_GE((*taken)->run.version(), last);
  ASSERT_EQ((*taken)->phases.size(), 1);
  ASSERT_EQ((*taken)->phases[0].points.size(), (*taken)->run.version() + 1) << "all or nothing of each";
  EXPECT_EQ((*taken)->phases[0].points[last].transactions(), last * 10);
  EXPECT_EQ(store->List()->front().state(), v1::RunSummary::STATE_UNDER_WAY) << "this process's now";
  EXPECT_FALSE(store->TakeOverInterrupted()->has_value());
}

TEST_F(RunStoreTest, RunsOfACommandLineAreNotGoneOnWith) {
  const pid_t child = fork();
  if (child == 0) {
    auto store = RunStore::Open(data_dir(), /*resumable=*/false);
    _exit(store.ok() && (*store)->Save(Snapshot("r1", 0)).ok() ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  auto store = Open();
  EXPECT_EQ(store->List()->front().state(), v1::RunSummary::STATE_INTERRUPTED);
  EXPECT_FALSE(store->TakeOverInterrupted()->has_value());
  EXPECT_THAT(std::string(store->Result("r1").status().message()), HasSubstr("its controller was killed"));
}

TEST_F(RunStoreTest, AFullDiskIsSaidAndWhatWasThereStays) {
  const pid_t child = fork();
  if (child == 0) {
    auto store = RunStore::Open(data_dir(), /*resumable=*/true);
    if (!store.ok() || !(*store)->Save(Snapshot("r1", 1)).ok()) _exit(1);
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 300'000, .rlim_max = 300'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    RunSnapshot large = Snapshot("r1", 2);
    large.run.mutable_plan()->set_name(std::string(1 << 20, 'x'));
    if (!absl::IsResourceExhausted((*store)->Save(large))) _exit(2);
    if (!(*store)->Save(Snapshot("r1", 3)).ok()) _exit(3);
    _exit(0);
  }
  int status = 1;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  const auto taken = Open()->TakeOverInterrupted();
  ASSERT_TRUE(taken.ok() && taken->has_value());
  EXPECT_EQ((*taken)->run.version(), 3);
  EXPECT_EQ((*taken)->phases[0].points.size(), 2);
}

// Wherever a file is damaged: it is refused, or gives exactly what was written.
TEST_F(RunStoreTest, DamageIsRefusedAndNeverGuessedAt) {
  {
    auto store = Open();
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(store->Finish(Result("r" + std::to_string(i))).ok());
  }
  std::ifstream in(file(), std::ios::binary);
  const std::string whole(std::istreambuf_iterator<char>(in), {});
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string damaged = whole;
    if (round % 10 == 0) {
      damaged.resize(random() % damaged.size());
    } else {
      for (int i = 0; i <= round % 4; ++i)
        damaged[random() % damaged.size()] ^= static_cast<char>(1 + random() % 255);
    }
    std::filesystem::remove(file() + "-wal");
    std::filesystem::remove(file() + "-shm");
    std::ofstream(file(), std::ios::binary) << damaged;
    const auto store = RunStore::Open(data_dir(), /*resumable=*/true);
    if (!store.ok()) {
      EXPECT_FALSE(std::string(store.status().message()).empty());
      ++refused;
      continue;
    }
    for (int i = 0; i < 60; ++i) {
      const std::string run_id = "r" + std::to_string(i);
      const absl::StatusOr<v1::RunResult> result = (*store)->Result(run_id);
      if (result.ok()) {
        EXPECT_TRUE(MessageDifferencer::Equals(*result, Result(run_id))) << round;
      } else {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100) << "the damage was seen";
}

TEST_F(RunStoreTest, OtherFilesAndNewerVersionsAreRefused) {
  std::filesystem::create_directories(data_dir());
  std::ofstream(file())
      << "this is no database, but a letter to the editor, long enough to have a page of its own";
  EXPECT_TRUE(absl::IsDataLoss(RunStore::Open(data_dir(), true).status()));
  std::filesystem::remove(file());
  Open();
  {
    auto database = SqliteDatabase::Open(file());
    ASSERT_TRUE(database->Execute("PRAGMA user_version=99").ok());
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(RunStore::Open(data_dir(), true).status()));
  const absl::Status nowhere = RunStore::Open("/proc/nowhere", true).status();
  EXPECT_THAT(std::string(nowhere.message()), HasSubstr("--data-dir"));
}

TEST_F(RunStoreTest, KeepsWhatChecksAreSettledByAsLongAsTheResult) {
  const std::unique_ptr<RunStore> store = Open();
  EXPECT_TRUE(absl::IsNotFound(store->CheckRecord("r1").status()));
  v1::CheckRecord record;
  record.add_scripts()->set_name("ledger-insert");
  ASSERT_TRUE(store->PutCheckRecord("r1", record).ok());
  ASSERT_TRUE(store->Finish(Result("r1")).ok());
  const absl::StatusOr<v1::CheckRecord> kept = store->CheckRecord("r1");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*kept, record));
  ASSERT_TRUE(store->Prune(absl::InfiniteFuture()).ok());
  EXPECT_TRUE(absl::IsNotFound(store->CheckRecord("r1").status()));
}

TEST_F(RunStoreTest, IsForItsOwnerAlone) {
  Open();
  EXPECT_EQ(std::filesystem::status(data_dir()).permissions(), std::filesystem::perms::owner_all);
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(file()).permissions(), perms::owner_read | perms::owner_write);
}

}  // namespace
}  // namespace trunkload

#include "controller/faults/repair_process.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

class RepairProcessTest : public testing::Test {
 protected:
  RepairProcessTest() {
    std::string pattern = testing::TempDir() + "/repair-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    done_ = folder_ / "done";
  }
  ~RepairProcessTest() override { std::filesystem::remove_all(folder_); }

  std::string Script() const { return absl::StrCat("mkdir '", done_.string(), "'"); }
  bool Done() const { return std::filesystem::exists(done_); }

  std::filesystem::path folder_;
  std::filesystem::path done_;
};

TEST_F(RepairProcessTest, RepairsWhenItIsTold) {
  const auto repair = RepairProcess::Start(Script());
  ASSERT_TRUE(repair.ok());
  EXPECT_FALSE(Done());
  EXPECT_TRUE((*repair)->Repair().ok());
  EXPECT_TRUE(Done());
}

TEST_F(RepairProcessTest, RepairsWhenItIsForgotten) {
  EXPECT_TRUE(RepairProcess::Start(Script()).ok());
  EXPECT_TRUE(Done());
}

TEST_F(RepairProcessTest, SaysWhyItCouldNot) {
  const auto repair = RepairProcess::Start("echo first; echo 'no such node'; false");
  ASSERT_TRUE(repair.ok());
  EXPECT_EQ((*repair)->Repair(), absl::UnavailableError("no such node"));
}

TEST_F(RepairProcessTest, RepairsWhenTheOneThatStartedItIsKilled) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    // The repair gets no descriptor of this pipe: the child alone holds it open.
    const auto repair = RepairProcess::Start(
        absl::StrCat(Script(), "; echo something to nobody; mkdir '", (folder_ / "after").string(), "'"));
    const char ready = repair.ok() ? '1' : '0';
    if (write(ends[1], &ready, 1) == 1) raise(SIGKILL);
    _exit(1);
  }
  close(ends[1]);
  char ready = 0;
  ASSERT_EQ(read(ends[0], &ready, 1), 1);
  EXPECT_EQ(ready, '1');
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  close(ends[0]);
  // It is nobody's child any more.
  for (int i = 0; i < 10'000 && !std::filesystem::exists(folder_ / "after"); ++i) usleep(1000);
  EXPECT_TRUE(Done());
  EXPECT_TRUE(std::filesystem::exists(folder_ / "after")) << "what it says to nobody does not end it";
}

}  // namespace
}  // namespace trunkload

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Outcome {
  int status = -1;
  std::string output;
};

Outcome Trunkload(const std::string& arguments) {
  Outcome outcome;
  FILE* pipe = popen(absl::StrCat(TRUNKLOAD_PROGRAM, " ", arguments, " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer;
  while (const size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
    outcome.output.append(buffer.data(), count);
  outcome.status = WEXITSTATUS(pclose(pipe));
  return outcome;
}

const char* const kPlan = TRUNKLOAD_SOURCE_DIR "/plans/insert-throughput.yaml";

void ExpectRefused(const std::string& arguments, const std::string& sentence) {
  const Outcome outcome = Trunkload(arguments);
  EXPECT_EQ(outcome.status, 2) << arguments;
  EXPECT_THAT(outcome.output, AllOf(StartsWith("trunkload: "), HasSubstr(sentence))) << arguments;
}

TEST(CliTest, EveryCommandHasHelpWithAnExample) {
  for (const char* command :
       {"", "run", "serve", "check", "stack", "stack up", "stack down", "stack status"}) {
    const Outcome outcome = Trunkload(absl::StrCat(command, " --help"));
    EXPECT_EQ(outcome.status, 0) << command;
    EXPECT_THAT(outcome.output, HasSubstr("Example")) << command;
  }
}

TEST(CliTest, WrongUsageIsOneSentenceAndStatusTwo) {
  ExpectRefused("", "subcommand is required");
  ExpectRefused("run", "PLAN is required");
  ExpectRefused(absl::StrCat("run ", kPlan, " --lcoal 2"), "--lcoal");
  ExpectRefused(absl::StrCat("run ", kPlan, " --local 0"), "--local");
  ExpectRefused(absl::StrCat("run ", kPlan, " --local 2 --listen :1 --agents 2"), "excludes");
  ExpectRefused(absl::StrCat("run ", kPlan, " --listen :1"), "--agents");
  ExpectRefused(absl::StrCat("run ", kPlan, " --controller :1 --allow-commands"), "excludes");
  ExpectRefused(absl::StrCat("run ", kPlan, " --wait soon"), "--wait");
  ExpectRefused(absl::StrCat("run ", kPlan, " --set fleet.pool.sze=1"), "did you mean 'size'");
  ExpectRefused("run /nowhere/plan.yaml", "/nowhere/plan.yaml");
  ExpectRefused(absl::StrCat("run ", kPlan, " --json /nowhere/result.json"), "/nowhere/result.json");
  ExpectRefused(absl::StrCat("serve --listen nowhere --data-dir ", ::testing::TempDir(), "/wrong-usage"),
                "HOST:PORT");
}

TEST(CliTest, CheckShowsThePlanAndEachAgentsPartWithoutPasswords) {
  const Outcome outcome =
      Trunkload(absl::StrCat("check ", kPlan, " --agents 3 --target 'host=db user=bench password=hunter2'"));
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("'bench'"), HasSubstr("agent 3: 2 application servers")));
  EXPECT_THAT(outcome.output, ::testing::Not(HasSubstr("hunter2")));
}

TEST(CliTest, WrongUsageShowsNoPassword) {
  const Outcome outcome =
      Trunkload(absl::StrCat("check ", kPlan, " --target host=db password=hunter2 user=bench"));
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("quotes"), ::testing::Not(HasSubstr("hunter2"))));
}

TEST(CliTest, PasswordForAgentsElsewhereIsRefused) {
  for (const char* place : {"--listen 127.0.0.1:0 --agents 1", "--controller 127.0.0.1:1"}) {
    const Outcome outcome =
        Trunkload(absl::StrCat("run ", kPlan, " ", place, " --target 'host=db password=hunter2'"));
    EXPECT_EQ(outcome.status, 2) << outcome.output;
    EXPECT_THAT(outcome.output, AllOf(HasSubstr("~/.pgpass"), ::testing::Not(HasSubstr("hunter2"))));
  }
}

TEST(CliTest, PagesBeyondThisMachineNeedTlsAndAToken) {
  const std::string data = absl::StrCat(" --data-dir ", ::testing::TempDir(), "/pages-refused");
  for (const char* more : {"", "--http-token-file /nowhere"})
    ExpectRefused(absl::StrCat("serve --listen 127.0.0.1:0 --http :0 ", more, data), "--http-token-file");
  ExpectRefused(absl::StrCat("serve --listen 127.0.0.1:0 --http nowhere", data), "HOST:PORT");
}

TEST(CliTest, AgentsOfNobodyAreRefused) {
  ExpectRefused(absl::StrCat("run ", kPlan, " --agents 20"), "--local N");
}

TEST(CliTest, CheckRefusesMoreAgentsThanApplicationServers) {
  ExpectRefused(absl::StrCat("check ", kPlan, " --agents 7"), "application_servers");
}

TEST(CliTest, StackThatIsNotUpIsStatusOne) {
  EXPECT_EQ(Trunkload("stack status --dir /nowhere/stack").status, 1);
  EXPECT_EQ(Trunkload("stack down --dir /nowhere/stack").status, 0);
}

}  // namespace
}  // namespace trunkload

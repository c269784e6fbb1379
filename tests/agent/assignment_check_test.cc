#include "agent/assignment_check.h"

#include <functional>

#include "common/duration.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

v1::Assignment Followable() {
  v1::Assignment assignment;
  v1::Pool& pool = *assignment.mutable_pool();
  *pool.mutable_acquire_timeout() = ToProto(absl::Seconds(5));
  *pool.mutable_connect_timeout() = ToProto(absl::Seconds(5));
  v1::Script& script = *assignment.add_scripts();
  script.set_builtin(v1::BUILTIN_INSERT_BATCH);
  script.set_weight(1);
  (*script.mutable_variables())["batch"] = "100";
  v1::Phase& closed = *assignment.add_phases();
  closed.mutable_load()->mutable_closed()->set_clients(4);
  closed.set_transactions(10);
  v1::Phase& open = *assignment.add_phases();
  open.mutable_load()->mutable_open()->set_rate(1'000);
  *open.mutable_duration() = ToProto(absl::Seconds(1));
  v1::ApplicationServer& server = *assignment.add_application_servers();
  server.set_connections(8);
  v1::PhaseShare& share = *server.add_shares();
  share.set_clients(4);
  share.set_transactions(10);
  server.add_shares();
  assignment.set_fleet_application_servers(1);
  return assignment;
}

TEST(AssignmentCheckTest, TakesWhatAPlannerSends) {
  const absl::Status status = CheckAssignment(Followable(), /*allow_shell=*/false);
  EXPECT_TRUE(status.ok()) << status;
}

TEST(AssignmentCheckTest, AnIsolationLevelThatIsToComeYet) {
  v1::Assignment assignment = Followable();
  assignment.mutable_target()->set_isolation(v1::ISOLATION_SERIALIZABLE);
  EXPECT_TRUE(CheckAssignment(assignment, /*allow_shell=*/false).ok());
  assignment.mutable_target()->set_isolation(static_cast<v1::Isolation>(99));
  EXPECT_THAT(std::string(CheckAssignment(assignment, /*allow_shell=*/false).message()),
              testing::HasSubstr("an isolation level that this agent does not know"));
}

v1::Assignment WithScript(const char* text) {
  v1::Assignment assignment = Followable();
  v1::Script& script = *assignment.mutable_scripts(0);
  script.clear_builtin();
  script.clear_variables();
  script.set_name("mine");
  script.set_text(text);
  script.set_query_mode(v1::QUERY_MODE_PREPARED);
  return assignment;
}

TEST(AssignmentCheckTest, RunsTheShellOnlyWhereItIsAllowed) {
  for (const char* text : {"SELECT 1;\n\\shell true\n", "SELECT 1;\n\\setshell x echo 1\n"}) {
    const v1::Assignment assignment = WithScript(text);
    EXPECT_TRUE(CheckAssignment(assignment, /*allow_shell=*/true).ok());
    const absl::Status refused = CheckAssignment(assignment, /*allow_shell=*/false);
    EXPECT_THAT(std::string(refused.message()),
                testing::AllOf(testing::HasSubstr("mine:2:1"), testing::HasSubstr("--allow-shell")));
  }
}

struct Fault {
  const char* name;
  std::function<void(v1::Assignment&)> make;
  const char* said;
};

class AssignmentFaultTest : public testing::TestWithParam<Fault> {};

INSTANTIATE_TEST_SUITE_P(
    , AssignmentFaultTest,
    testing::Values(
        Fault{"NoPhases", [](v1::Assignment& a) { a.clear_phases(); }, "nothing to do"},
        Fault{"NoPool", [](v1::Assignment& a) { a.mutable_application_servers(0)->clear_connections(); },
              "a pool that can't be"},
        Fault{"NoAcquireTimeout", [](v1::Assignment& a) { a.mutable_pool()->clear_acquire_timeout(); },
              "a time-out of nothing"},
        Fault{"NegativeConnectTimeout",
              [](v1::Assignment& a) { a.mutable_pool()->mutable_connect_timeout()->set_seconds(-1); },
              "a time-out that can't be"},
        Fault{"LongLine", [](v1::Assignment& a) { a.mutable_pool()->set_queue_limit(UINT32_MAX); },
              "a longer line than can be"},
        Fault{"UnknownScript", [](v1::Assignment& a) { a.mutable_scripts(0)->clear_builtin(); },
              "a script that this agent does not know"},
        Fault{"EmptyBatch", [](v1::Assignment& a) { a.mutable_scripts(0)->clear_variables(); },
              "a batch without rows"},
        Fault{"WeightlessScripts", [](v1::Assignment& a) { a.mutable_scripts(0)->set_weight(0); },
              "no script to run"},
        Fault{"EmptyRangeOfKeys",
              [](v1::Assignment& a) {
                a.mutable_scripts(0)->mutable_keys()->set_distribution(v1::KEY_DISTRIBUTION_UNIFORM);
              },
              "keys from an empty range"},
        Fault{"NoLoad", [](v1::Assignment& a) { a.mutable_phases(0)->clear_load(); },
              "a phase without a load"},
        Fault{"NoEnd", [](v1::Assignment& a) { a.mutable_phases(1)->clear_duration(); },
              "a phase without an end"},
        Fault{"NoRate",
              [](v1::Assignment& a) { a.mutable_phases(1)->mutable_load()->mutable_open()->clear_rate(); },
              "a rate that can't be"},
        Fault{"NobodyToWork",
              [](v1::Assignment& a) { a.mutable_application_servers(0)->mutable_shares(0)->set_clients(0); },
              "transactions for nobody"},
        Fault{"ShareMissing",
              [](v1::Assignment& a) { a.mutable_application_servers(0)->mutable_shares()->RemoveLast(); },
              "without its shares"},
        Fault{"ServerTooMany", [](v1::Assignment& a) { a.mutable_application_servers(0)->set_number(1); },
              "an application server too many"},
        Fault{"MoreClientsThanNumbers",
              [](v1::Assignment& a) {
                a.set_fleet_application_servers(4'000'000'000);
                a.mutable_application_servers(0)->mutable_shares(0)->set_clients(1'000'000);
              },
              "more clients in the fleet"},
        Fault{"MoreCommandsThanRoom",
              [](v1::Assignment& a) {
                std::string text;
                for (int i = 0; i < 1'001; ++i) text += "\\set x 1\n";
                a = WithScript(text.c_str());
                a.mutable_scripts(0)->set_per_command(true);
              },
              "more commands to measure"},
        Fault{"MoreScriptsThanCanBe",
              [](v1::Assignment& a) {
                for (int i = 0; i < 1'000; ++i) *a.add_scripts() = a.scripts(0);
              },
              "more scripts"},
        Fault{"MoreThreadsThanCanBe", [](v1::Assignment& a) { a.set_threads(257); }, "more threads"},
        Fault{"MorePreparedThanRoom",
              [](v1::Assignment& a) {
                std::string text;
                for (int i = 0; i < 801; ++i) text += "\\set x 1\n";
                a = WithScript(text.c_str());
                a.mutable_application_servers(0)->set_connections(10'000'000);
              },
              "more statements and connections"},
        Fault{"WrongText", [](v1::Assignment& a) { a = WithScript("\\set x"); }, "mine:1:"},
        Fault{"NoQueryMode",
              [](v1::Assignment& a) {
                a = WithScript("SELECT 1;");
                a.mutable_scripts(0)->clear_query_mode();
              },
              "a query mode that this agent does not know"},
        Fault{"SimplePipeline",
              [](v1::Assignment& a) {
                a = WithScript("\\startpipeline\nSELECT 1;\n\\endpipeline");
                a.mutable_scripts(0)->set_query_mode(v1::QUERY_MODE_SIMPLE);
              },
              "the simple protocol has no pipelines"},
        Fault{"NegativeLimit",
              [](v1::Assignment& a) { a.mutable_phases(0)->mutable_latency_limit()->set_seconds(-1); },
              "a latency limit that can't be"},
        Fault{"MoreThanAllLogged", [](v1::Assignment& a) { a.mutable_phases(0)->set_log_sampling(1.5); },
              "a share that can't be"}),
    [](const auto& info) { return info.param.name; });

TEST_P(AssignmentFaultTest, IsRefused) {
  v1::Assignment assignment = Followable();
  GetParam().make(assignment);
  const absl::Status status = CheckAssignment(assignment, /*allow_shell=*/false);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(GetParam().said));
}

}  // namespace
}  // namespace trunkload

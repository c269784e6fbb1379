#include "controller/preflight.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::Plan Plan(uint32_t application_servers, uint32_t size, double rate = 0) {
  v1::Plan plan;
  plan.mutable_fleet()->set_application_servers(application_servers);
  plan.mutable_fleet()->mutable_pool()->set_size(size);
  v1::Phase& phase = *plan.add_phases();
  phase.set_name("open");
  if (rate > 0) phase.mutable_load()->mutable_open()->set_rate(rate);
  return plan;
}

v1::ConnectionRoom Room(uint32_t most, uint32_t in_use, double round_trip_us = 100) {
  v1::ConnectionRoom room;
  room.set_most(most);
  room.set_in_use(in_use);
  room.set_round_trip_us(round_trip_us);
  return room;
}

TEST(PreflightTest, MoreConnectionsThanTheServerTakes) {
  EXPECT_TRUE(CheckConnectionRoom(Plan(10, 4), Room(40, 39)).ok());
  const absl::Status status = CheckConnectionRoom(Plan(10, 4), Room(39, 0));
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the plan opens 40 connections, and the target takes at most 39"));
  v1::Plan in_all = Plan(10, 4);
  in_all.mutable_fleet()->set_connections(39);
  EXPECT_TRUE(CheckConnectionRoom(in_all, Room(39, 0)).ok());
  v1::ConnectionRoom pooled = Room(39, 0);
  pooled.set_pooled(true);
  EXPECT_TRUE(CheckConnectionRoom(Plan(10, 4), pooled).ok()) << "that is the pooler's own affair";
  EXPECT_TRUE(CheckConnectionRoom(Plan(10, 4), v1::ConnectionRoom()).ok()) << "not known";
}

TEST(PreflightTest, AnIsolationLevelThatAPoolerWouldGiveToOthers) {
  v1::Plan plan = Plan(1, 1);
  EXPECT_FALSE(SetsIsolation(plan));
  plan.mutable_target()->set_isolation(v1::ISOLATION_SERVER);
  EXPECT_FALSE(SetsIsolation(plan));
  plan.mutable_target()->set_isolation(v1::ISOLATION_REPEATABLE_READ);
  EXPECT_TRUE(SetsIsolation(plan));
  const absl::Status status = NoIsolation(plan);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("target.isolation is repeatable-read, and the target is a pooler"));
}

TEST(PreflightTest, MoreConnectionsThanAnAgentMayHaveFiles) {
  v1::Assignment assignment;
  for (const uint32_t connections : {400, 536})
    assignment.add_application_servers()->set_connections(connections);
  v1::Hello hello;
  hello.set_name("a-1");
  EXPECT_TRUE(CheckOpenFiles(assignment, hello).ok()) << "not known";
  hello.set_most_open_files(1000);
  EXPECT_TRUE(CheckOpenFiles(assignment, hello).ok());
  hello.set_most_open_files(999);
  const absl::Status status = CheckOpenFiles(assignment, hello);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("agent a-1 is to open 936 connections and may have 999 files"));
}

TEST(PreflightTest, OthersHaveTheConnections) {
  EXPECT_THAT(PreflightWarnings(Plan(10, 4), Room(100, 60)), ElementsAre());
  EXPECT_THAT(PreflightWarnings(Plan(10, 4), Room(100, 61)),
              ElementsAre(HasSubstr(
                  "the plan opens 40 connections, but of the 100 that the target takes from its role, "
                  "others had 61")));
  EXPECT_THAT(PreflightWarnings(Plan(10, 4), v1::ConnectionRoom()), ElementsAre());
}

TEST(PreflightTest, MoreTransactionsThanRoundTripsLeaveTimeFor) {
  EXPECT_THAT(PreflightWarnings(Plan(2, 5, 500), Room(100, 0, 20'000)), ElementsAre());
  EXPECT_THAT(PreflightWarnings(Plan(2, 5, 2000), Room(100, 0, 20'000)),
              ElementsAre(HasSubstr(
                  "phase open is to start 2000 transactions a second, but 10 connections can do no more "
                  "than 500/s when each takes at least a round trip of 20ms")));
  v1::Plan staged = Plan(2, 5);
  v1::OpenLoad& open = *staged.mutable_phases(0)->mutable_load()->mutable_open();
  open.add_stages()->set_rate(100);
  open.add_stages()->set_ramp_to(501);
  EXPECT_THAT(PreflightWarnings(staged, Room(100, 0, 20'000)),
              ElementsAre(HasSubstr("501 transactions a second")));
}

}  // namespace
}  // namespace trunkload

#include "controller/planner.h"

#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;

struct Shape {
  uint32_t application_servers;
  uint32_t agents;
  uint32_t clients;
  uint64_t transactions;
};

std::vector<std::string> Names(uint32_t agents) {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < agents; ++i) names.push_back(absl::StrCat("a", i));
  return names;
}

// Phases: closed by duration, closed by count, open by count, open by duration.
v1::Plan PlanOf(const Shape& shape) {
  v1::Plan plan;
  plan.set_seed(42);
  plan.mutable_fleet()->set_application_servers(shape.application_servers);
  plan.mutable_fleet()->set_threads(2);
  plan.add_phases()->mutable_load()->mutable_closed()->set_clients(shape.clients);
  v1::Phase& counted = *plan.add_phases();
  counted.set_transactions(shape.transactions);
  counted.mutable_load()->mutable_closed()->set_clients(shape.clients);
  v1::Phase& open = *plan.add_phases();
  open.set_transactions(shape.transactions);
  open.mutable_load()->mutable_open()->set_rate(100);
  plan.add_phases()->mutable_load()->mutable_open()->set_rate(100);
  return plan;
}

std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (uint32_t servers : {1u, 2u, 3u, 7u, 20u, 101u}) {
    for (uint32_t agents : {1u, 2u, 3u, 20u, 101u}) {
      if (agents > servers) continue;
      for (uint32_t clients : {1u, 2u, 6u, 100u, 1009u}) {
        for (uint64_t transactions : {1ull, 5ull, 99ull, 1'000'003ull, 1ull << 40}) {
          shapes.push_back({servers, agents, clients, transactions});
        }
      }
    }
  }
  return shapes;
}

TEST(PlannerTest, NoAssignmentHoldsAPassword) {
  v1::Plan plan = PlanOf({3, 3, 6, 9});
  for (const char* conninfo :
       {"host=a,b user=u password=geheim sslpassword=geheim", "postgresql://u:geheim@a,b/d"}) {
    for (const auto balance : {v1::LOAD_BALANCE_HOSTS_DISABLE, v1::LOAD_BALANCE_HOSTS_ROUND_ROBIN}) {
      plan.mutable_target()->set_conninfo(conninfo);
      plan.mutable_target()->set_load_balance_hosts(balance);
      const auto assignments = PlanAssignments(plan, Names(3), "run");
      ASSERT_TRUE(assignments.ok()) << assignments.status();
      for (const v1::Assignment& assignment : *assignments) {
        EXPECT_THAT(assignment.DebugString(), testing::Not(HasSubstr("geheim")));
        EXPECT_THAT(assignment.target().conninfo(), HasSubstr("user='u'"));
        EXPECT_EQ(assignment.conninfos_size(), balance == v1::LOAD_BALANCE_HOSTS_ROUND_ROBIN ? 2 : 0);
      }
    }
  }
}

TEST(PlannerTest, SpreadsApplicationServersOverALabel) {
  v1::Plan plan = PlanOf({8, 4, 8, 100});
  plan.mutable_fleet()->set_spread_over("zone");
  const std::vector<std::string> zones = {"eu-1", "eu-2", "eu-2", "eu-2"};
  const auto assignments = PlanAssignments(plan, Names(4), "run", zones);
  ASSERT_TRUE(assignments.ok()) << assignments.status();
  EXPECT_EQ((*assignments)[0].application_servers_size(), 4) << "half of them are in eu-1";
  EXPECT_EQ((*assignments)[1].application_servers_size(), 2);
  EXPECT_EQ((*assignments)[2].application_servers_size(), 1);
  EXPECT_EQ((*assignments)[3].application_servers_size(), 1);
  plan = PlanOf({4, 4, 8, 100});
  plan.mutable_fleet()->set_spread_over("zone");
  const auto too_few = PlanAssignments(plan, Names(4), "run", zones);
  EXPECT_TRUE(absl::IsInvalidArgument(too_few.status()));
  EXPECT_EQ(too_few.status().message(),
            "the plan's fleet.application_servers is 4, too few to spread them over zone and leave agent a3 "
            "one: raise it "
            "or start fewer agents");
}

TEST(PlannerTest, TotalsAreExactAndSpreadEvenly) {
  for (const Shape& shape : Shapes()) {
    SCOPED_TRACE(absl::StrCat(shape.application_servers, " servers, ", shape.agents, " agents, ",
                              shape.clients, " clients, ", shape.transactions, " transactions"));
    const auto assignments = PlanAssignments(PlanOf(shape), Names(shape.agents), "run-1");
    ASSERT_TRUE(assignments.ok()) << assignments.status();
    ASSERT_EQ(assignments->size(), shape.agents);
    uint64_t clients = 0, closed = 0, open = 0;
    std::set<uint32_t> numbers;
    std::set<uint64_t> seeds;
    for (const v1::Assignment& assignment : *assignments) {
      const auto servers = static_cast<uint32_t>(assignment.application_servers_size());
      EXPECT_GE(servers, shape.application_servers / shape.agents);
      EXPECT_LE(servers, shape.application_servers / shape.agents + 1);
      EXPECT_EQ(assignment.threads(), std::min(2u, servers));
      EXPECT_EQ(assignment.fleet_application_servers(), shape.application_servers);
      for (const v1::ApplicationServer& server : assignment.application_servers()) {
        EXPECT_TRUE(numbers.insert(server.number()).second);
        EXPECT_TRUE(seeds.insert(server.seed()).second);
        ASSERT_EQ(server.shares_size(), 4);
        clients += server.shares(1).clients();
        closed += server.shares(1).transactions();
        open += server.shares(2).transactions();
        EXPECT_EQ(server.shares(0).clients(), server.shares(1).clients());
        EXPECT_EQ(server.shares(0).transactions(), 0);
        EXPECT_EQ(server.shares(2).clients(), 0);
        EXPECT_EQ(server.shares(3).transactions(), 0);
        EXPECT_GE(server.shares(1).clients(), shape.clients / shape.application_servers);
        EXPECT_LE(server.shares(1).clients(), shape.clients / shape.application_servers + 1);
        if (server.shares(1).clients() == 0) {
          EXPECT_EQ(server.shares(1).transactions(), 0) << "nobody there to run them";
        }
      }
    }
    EXPECT_EQ(numbers.size(), shape.application_servers);
    EXPECT_EQ(*numbers.rbegin(), shape.application_servers - 1);
    EXPECT_EQ(clients, shape.clients);
    EXPECT_EQ(closed, shape.transactions);
    EXPECT_EQ(open, shape.transactions);
  }
}

TEST(PlannerTest, OpenSharesAreThoseOfTheArrivalsIndex) {
  for (uint64_t transactions : {1ull, 6ull, 7ull, 20ull, 100ull}) {
    const auto assignments = PlanAssignments(PlanOf({7, 3, 1, transactions}), Names(3), "run");
    ASSERT_TRUE(assignments.ok());
    std::vector<uint64_t> expected(7);
    for (uint64_t g = 0; g < transactions; ++g) ++expected[g % 7];
    for (const v1::Assignment& assignment : *assignments) {
      for (const v1::ApplicationServer& server : assignment.application_servers()) {
        EXPECT_EQ(server.shares(2).transactions(), expected[server.number()]);
      }
    }
  }
}

TEST(PlannerTest, AnApplicationServerIsTheSameOnWhateverAgent) {
  const v1::Plan plan = PlanOf({12, 1, 30, 100});
  std::map<uint32_t, std::string> alone;
  const auto one = PlanAssignments(plan, Names(1), "run");
  ASSERT_TRUE(one.ok());
  for (const v1::ApplicationServer& server : one->front().application_servers()) {
    alone[server.number()] = server.DebugString();
  }
  const auto many = PlanAssignments(plan, Names(5), "run");
  ASSERT_TRUE(many.ok());
  for (const v1::Assignment& assignment : *many) {
    for (const v1::ApplicationServer& server : assignment.application_servers()) {
      EXPECT_EQ(server.DebugString(), alone[server.number()]);
    }
  }
}

TEST(PlannerTest, SeedsDependOnThePlansSeed) {
  std::set<uint64_t> seeds;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    v1::Plan plan = PlanOf({40, 1, 1, 1});
    plan.set_seed(seed);
    const auto assignments = PlanAssignments(plan, Names(1), "run");
    ASSERT_TRUE(assignments.ok());
    for (const v1::ApplicationServer& server : assignments->front().application_servers()) {
      EXPECT_TRUE(seeds.insert(server.seed()).second) << "neighbouring plan seeds share draws";
    }
  }
}

TEST(PlannerTest, ConnectionsAreThePoolsSizeOrAnEvenShare) {
  v1::Plan plan = PlanOf({5, 2, 7, 7});
  plan.mutable_fleet()->mutable_pool()->set_size(9);
  const auto connections = [&plan] {
    std::vector<uint32_t> of_server(5);
    const auto assignments = PlanAssignments(plan, Names(2), "run");
    EXPECT_TRUE(assignments.ok()) << assignments.status();
    for (const v1::Assignment& assignment : *assignments) {
      for (const v1::ApplicationServer& server : assignment.application_servers()) {
        of_server[server.number()] = server.connections();
        EXPECT_LE(server.shares(0).clients(), server.connections())
            << "no more clients than connections, anywhere";
      }
    }
    return of_server;
  };
  EXPECT_THAT(connections(), testing::ElementsAre(9, 9, 9, 9, 9));
  plan.mutable_fleet()->set_connections(7);
  EXPECT_THAT(connections(), testing::ElementsAre(2, 2, 1, 1, 1));
}

TEST(PlannerTest, CarriesWhatAgentsNeed) {
  v1::Plan plan = PlanOf({2, 2, 4, 4});
  plan.mutable_target()->set_service("bench");
  plan.mutable_setup()->set_rows(500);
  plan.mutable_fleet()->mutable_pool()->set_size(9);
  plan.add_scripts()->set_builtin(v1::BUILTIN_INSERT_COPY);
  (*plan.mutable_variables())["scale"] = "5";
  const auto assignments = PlanAssignments(plan, Names(2), "run-7");
  ASSERT_TRUE(assignments.ok());
  uint32_t agent = 0;
  for (const v1::Assignment& assignment : *assignments) {
    EXPECT_EQ(assignment.run_id(), "run-7");
    EXPECT_EQ(assignment.agent(), agent++);
    EXPECT_EQ(assignment.agents(), 2);
    EXPECT_EQ(assignment.seed(), 42);
    EXPECT_EQ(assignment.variables().at("scale"), "5");
    EXPECT_EQ(assignment.target().service(), "bench");
    EXPECT_EQ(assignment.loaded_rows(), 500);
    EXPECT_EQ(assignment.pool().size(), 9);
    EXPECT_EQ(assignment.scripts_size(), 1);
    EXPECT_EQ(assignment.phases_size(), 4);
  }
}

TEST(PlannerTest, RefusesMoreAgentsThanApplicationServers) {
  const auto assignments = PlanAssignments(PlanOf({2, 3, 1, 1}), Names(3), "run");
  EXPECT_TRUE(absl::IsInvalidArgument(assignments.status()));
  EXPECT_THAT(assignments.status().message(),
              HasSubstr("fleet.application_servers is 2, too few for 3 agents"));
  EXPECT_FALSE(PlanAssignments(PlanOf({2, 3, 1, 1}), {}, "run").ok());
}

}  // namespace
}  // namespace trunkload

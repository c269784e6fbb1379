#include "controller/plan/check_scripts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "controller/plan/plan_check.h"
#include "controller/plan/plan_loader.h"
#include "google/protobuf/util/message_differencer.h"

namespace trunkload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<v1::Plan> Load(const std::string& fields) {
  return ParsePlan(absl::StrCat("name: p\n", fields,
                                "\nphases: [{name: one, duration: 1s, load: {closed: {clients: 1}}}]\n"),
                   "p.yaml");
}

std::vector<std::string> Names(const v1::Plan& plan) {
  std::vector<std::string> names;
  for (const v1::Script& script : plan.scripts()) names.push_back(script.name());
  return names;
}

TEST(CheckScriptsTest, AreAddedToThePlansOwn) {
  const absl::StatusOr<v1::Plan> plan = Load(
      "scripts: [{builtin: insert-single, weight: 5}]\nchecks: [bank, prepared-transactions]\n"
      "check_options: {branches: 3}");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(Names(*plan), ElementsAre("insert-single", "bank-transfer", "bank-branch-transfer",
                                        "bank-total", "bank-branch-total"));
  EXPECT_FALSE(plan->scripts(0).recorded());
  const v1::Script& transfer = plan->scripts(1);
  EXPECT_TRUE(transfer.recorded());
  EXPECT_EQ(transfer.variables().at("trunkload_branches"), "3");
  EXPECT_EQ(transfer.variables().at("trunkload_accounts"), "100");
  EXPECT_EQ(transfer.weight(), 1u);
  EXPECT_GT(transfer.max_tries(), 1u);
  // As a controller does that gets it from elsewhere.
  const absl::StatusOr<v1::Plan> again = ValidatePlan(*plan);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*again, *plan));
}

TEST(CheckScriptsTest, AreLeftOutWhereThePlanChoosesSome) {
  const absl::StatusOr<v1::Plan> plan =
      Load("scripts: [{builtin: bank-transfer, weight: 9, max_tries: 3}]\nchecks: [bank, ledger]");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(Names(*plan), ElementsAre("bank-transfer", "ledger-insert"));
  EXPECT_EQ(plan->scripts(0).max_tries(), 3u);
}

TEST(CheckScriptsTest, APlanMayHaveNoneBesides) {
  const absl::StatusOr<v1::Plan> plan = Load("checks: [counter]");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(Names(*plan), ElementsAre("counter-increment"));
}

TEST(CheckScriptsTest, MistakesAreNamed) {
  const std::map<std::string, std::string> mistakes = {
      {"scripts: [{builtin: bank-total}]",
       "is one of the check bank, which the plan does not have; expected checks: [bank]"},
      {"checks: [ledger, bank, ledger]", "checks.2: written twice"},
      {"checks: [bonk]", "'bonk' is unknown; expected one of bank, ledger"},
      {"checks: [ledger]\nscripts: [{builtin: ledger-insert}, {builtin: ledger-insert}]",
       "expected a check's script once"},
      {"checks: [ledger]\nscripts: [{builtin: ledger-insert, query_mode: simple}]",
       "expected extended or prepared"},
      {"checks: [bank]\nscripts: [{builtin: bank-total, variables: {trunkload_branches: 5}}]",
       "expected check_options.branches in its place"},
      {"checks: [bank]\nscripts: [{builtin: bank-total, variables: {bees: 5}}]",
       "takes its variables from check_options"},
      {"checks: [bank]\ncheck_options: {branches: 20000, accounts: 10000}",
       "check_options: 20000 branches of 10000 accounts; expected at most 5000000"},
      {"checks: [bank]\ncheck_options: {branches: 1}", "check_options.branches: out of range"},
  };
  for (const auto& [fields, mistake] : mistakes)
    EXPECT_THAT(std::string(Load(fields).status().message()), HasSubstr(mistake)) << fields;
}

TEST(CheckScriptsTest, EveryBuiltinOfACheckHasAText) {
  for (int check = v1::Check_MIN + 1; check <= v1::Check_MAX; ++check) {
    for (const v1::Builtin builtin : ScriptsOf(static_cast<v1::Check>(check))) {
      EXPECT_FALSE(CheckScriptText(builtin).empty()) << builtin;
      EXPECT_EQ(CheckOf(builtin), check);
    }
  }
}

}  // namespace
}  // namespace trunkload

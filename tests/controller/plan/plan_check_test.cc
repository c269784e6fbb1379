#include "controller/plan/plan_check.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "controller/plan/plan_text.h"
#include "controller/plan/scalar_field.h"

namespace trunkload {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

v1::Plan SmallPlan() {
  v1::Plan plan;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(name: "p" scripts { builtin: BUILTIN_INSERT_SINGLE }
         phases { name: "only" duration { seconds: 1 } load { closed { clients: 1 } } })",
      &plan));
  return plan;
}

std::string ErrorOf(const v1::Plan& plan) {
  const absl::StatusOr<v1::Plan> valid = ValidatePlan(plan);
  EXPECT_EQ(valid.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(valid.status().message());
}

TEST(PlanCheckTest, CompletesAPlanThatCameWithoutAFile) {
  const absl::StatusOr<v1::Plan> plan = ValidatePlan(SmallPlan());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->fleet().pool().size(), 8);
  const absl::StatusOr<v1::Plan> again = ValidatePlan(*plan);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), plan->SerializeAsString()) << "a complete plan stays as it is";
}

TEST(PlanCheckTest, TrustsNothingFromAPeer) {
  EXPECT_THAT(ErrorOf(v1::Plan()), StartsWith("name: missing"));
  v1::Plan plan = SmallPlan();
  plan.mutable_fleet()->set_threads(0);
  EXPECT_THAT(ErrorOf(plan),
              StartsWith("fleet.threads: out of range; expected a whole number from 1 to 256"));

  plan = SmallPlan();
  plan.mutable_setup()->set_workload(static_cast<v1::Workload>(77));
  EXPECT_THAT(ErrorOf(plan), StartsWith("setup.workload: unknown; expected one of users"));

  plan = SmallPlan();
  plan.mutable_phases(0)->mutable_duration()->set_seconds(-1);
  EXPECT_THAT(ErrorOf(plan), StartsWith("phases.0.duration: out of range"));
  plan.mutable_phases(0)->mutable_duration()->set_seconds(std::numeric_limits<int64_t>::max());
  EXPECT_THAT(ErrorOf(plan), StartsWith("phases.0.duration: out of range"));
  plan.mutable_phases(0)->mutable_duration()->set_seconds(1);
  plan.mutable_phases(0)->mutable_drain_timeout()->set_nanos(-1);
  EXPECT_THAT(ErrorOf(plan), StartsWith("phases.0.drain_timeout: out of range"));
  plan.mutable_phases(0)->mutable_drain_timeout()->set_nanos(2'000'000'000);
  EXPECT_THAT(ErrorOf(plan), StartsWith("phases.0.drain_timeout: out of range"));

  plan = SmallPlan();
  plan.mutable_phases(0)->mutable_load()->mutable_open()->set_rate(std::nan(""));
  EXPECT_THAT(ErrorOf(plan), StartsWith("phases.0.load.open.rate: out of range"));
}

TEST(PlanCheckTest, RefusesAbsurdTotals) {
  v1::Plan plan = SmallPlan();
  for (int i = 0; i < 1000; ++i) *plan.add_scripts() = plan.scripts(0);
  EXPECT_THAT(ErrorOf(plan), StartsWith("scripts: 1001 scripts; expected at most 1000"));

  plan = SmallPlan();
  for (int i = 0; i < 1000; ++i) {
    *plan.add_phases() = plan.phases(0);
    plan.mutable_phases(i)->set_name("phase-" + std::to_string(i));
  }
  plan.mutable_fleet()->set_application_servers(100'000);
  EXPECT_THAT(ErrorOf(plan), HasSubstr("phases: 1001 phases; expected at most 1000"));
  EXPECT_THAT(ErrorOf(plan), HasSubstr("fleet.application_servers: too many for 1001 phases"));

  plan = SmallPlan();
  for (int i = 0; i < 1001; ++i) plan.add_objectives("rows > 1/s");
  EXPECT_THAT(ErrorOf(plan), StartsWith("objectives: 1001 objectives"));
}

TEST(PlanCheckTest, RedactsItsTarget) {
  v1::Plan plan = SmallPlan();
  plan.mutable_target()->set_conninfo("host=db password=geheim user=u");
  EXPECT_THAT(Redacted(plan).ShortDebugString(), Not(HasSubstr("geheim")));
  EXPECT_EQ(Redacted(plan).target().conninfo(), "user='u' host='db'");
  plan.mutable_target()->set_conninfo("host=db user=u");
  EXPECT_EQ(Redacted(plan).target().conninfo(), "host=db user=u");
}

// Every rule in the schema can be read, and every field is of a type that the loader reads.
void CheckSchema(const Descriptor& type) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const v1::FieldRule& rule = RuleOf(field);
    SCOPED_TRACE(field.full_name());
    if (field.is_map()) {
      EXPECT_EQ(field.message_type()->map_key()->cpp_type(), FieldDescriptor::CPPTYPE_STRING);
      const FieldDescriptor& value = *field.message_type()->map_value();
      if (value.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        // A list of texts.
        ASSERT_EQ(value.message_type()->field_count(), 1);
        EXPECT_TRUE(value.message_type()->field(0)->is_repeated());
        EXPECT_EQ(value.message_type()->field(0)->cpp_type(), FieldDescriptor::CPPTYPE_STRING);
      } else {
        EXPECT_EQ(value.cpp_type(), FieldDescriptor::CPPTYPE_STRING);
      }
      EXPECT_TRUE(!rule.required() && !rule.secret()) << "no rule could hold";
      continue;
    }
    for (const std::string& text : {rule.default_(), rule.min(), rule.max()}) {
      if (text.empty()) continue;
      const std::unique_ptr<google::protobuf::Message> message(
          google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->New());
      EXPECT_TRUE(field.has_presence() && !field.is_repeated() && !IsGroup(field)) << "no rule could hold";
      EXPECT_EQ(SetScalar(*message, field, text), absl::OkStatus()) << text;
      std::vector<PlanMistake> mistakes;
      CheckRules(*message, "", mistakes);
      for (const PlanMistake& mistake : mistakes)
        EXPECT_NE(mistake.field, field.name()) << text << ": " << mistake.what;
    }
    EXPECT_TRUE(!rule.secret() || field.cpp_type() == FieldDescriptor::CPPTYPE_STRING);
    if (IsGroup(field)) {
      CheckSchema(*field.message_type());
    } else if (field.is_repeated() && field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) {
      EXPECT_EQ(field.cpp_type(), FieldDescriptor::CPPTYPE_STRING);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      EXPECT_FALSE(EnumTexts(*field.enum_type()).empty());
      for (const std::string& text : EnumTexts(*field.enum_type())) {
        EXPECT_THAT(text, testing::MatchesRegex("[a-z-]+"));
        EXPECT_NE(FindEnumValue(*field.enum_type(), text), nullptr);
      }
    }
  }
}

TEST(PlanSchemaTest, EveryRuleCanBeRead) {
  CheckSchema(*v1::Plan::descriptor());
}

}  // namespace
}  // namespace trunkload

// A plan's YAML; its lines that begin with "#set " are options of the command line.
#include <google/protobuf/util/message_differencer.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "controller/plan/plan_check.h"
#include "controller/plan/plan_loader.h"
#include "controller/report/json.h"
#include "tests/fuzz/check.h"

namespace {

using trunkload::ParsePlan;

void CheckMistakes(absl::string_view message) {
  FUZZ_CHECK(!message.empty(), "no reason");
  for (const absl::string_view line : absl::StrSplit(message, '\n')) {
    // A script's own lines are indented.
    const bool has_place = absl::StartsWith(line, "p.yaml:") || absl::StartsWith(line, "--set") ||
                           absl::StartsWith(line, "and ") || absl::StartsWith(line, "    ");
    FUZZ_CHECK(has_place, message);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view yaml(reinterpret_cast<const char*>(data), size);
  trunkload::PlanOverrides overrides;
  for (absl::string_view line : absl::StrSplit(yaml, '\n')) {
    if (absl::ConsumePrefix(&line, "#set ")) overrides.set.emplace_back(line);
  }
  const absl::StatusOr<trunkload::v1::Plan> plan = ParsePlan(yaml, "p.yaml", overrides);
  if (!plan.ok()) {
    CheckMistakes(plan.status().message());
    return 0;
  }
  // What was accepted is accepted again, in every form that it takes.
  const absl::StatusOr<trunkload::v1::Plan> valid = trunkload::ValidatePlan(*plan);
  FUZZ_CHECK(valid.ok(), valid.status());
  const std::string json = trunkload::ToJson(*plan);
  const absl::StatusOr<trunkload::v1::Plan> again = ParsePlan(json, "p.yaml");
  FUZZ_CHECK(again.ok(), again.status());
  // A map's entries are serialized in no order.
  FUZZ_CHECK(google::protobuf::util::MessageDifferencer::Equals(*again, *plan), json);
  const absl::StatusOr<trunkload::v1::Plan> redacted =
      ParsePlan(trunkload::ToJson(trunkload::Redacted(*plan)), "p.yaml");
  FUZZ_CHECK(redacted.ok(), redacted.status());
  return 0;
}

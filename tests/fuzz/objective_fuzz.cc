#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "controller/plan/objective.h"
#include "tests/fuzz/check.h"

namespace {

// "at character 5: ..." points into the text, or just behind it.
bool PointsInto(absl::string_view message, size_t size) {
  size_t character;
  return absl::ConsumePrefix(&message, "at character ") &&
         absl::SimpleAtoi(message.substr(0, message.find(':')), &character) && character >= 1 &&
         character <= size + 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const trunkload::Histogram* const histogram = [] {
    auto* recorded = new trunkload::Histogram;
    for (const int64_t nanos : std::initializer_list<int64_t>{1'000, 2'000'000, 3'000'000'000})
      recorded->Record(nanos);
    return recorded;
  }();
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<trunkload::Objective> objective = trunkload::Objective::Parse(text);
  if (!objective.ok()) {
    FUZZ_CHECK(PointsInto(objective.status().message(), size), objective.status());
    return 0;
  }
  FUZZ_CHECK(objective->text() == text, objective->text());
  const trunkload::PhaseMeasure phase = {.name = objective->phase().empty() ? "any" : objective->phase(),
                                         .response = *histogram,
                                         .service = *histogram,
                                         .pool_wait = *histogram,
                                         .send_lag = *histogram,
                                         .failed = *histogram};
  const trunkload::v1::ObjectiveResult result = objective->Evaluate({phase});
  FUZZ_CHECK(result.phase() == phase.name, result.phase());
  FUZZ_CHECK(result.value() >= 0, result.value());
  return 0;
}

#include "controller/sweep/sweep_cells.h"

#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "controller/plan/plan_text.h"
#include "controller/plan/scalar_field.h"

namespace trunkload {
namespace {

// "sweep" in ASCII: the stream of random numbers that the order is drawn from.
constexpr uint64_t kStream = 0x7377656570;

// The fields that a name in a sweep stands for, as --set names them; none: there is nothing of that name.
std::vector<std::string> FieldsOf(const std::string& name, const v1::Plan& plan) {
  const std::string first = name.substr(0, name.find('.'));
  if (FindWrittenField(*v1::Plan::descriptor(), first) != nullptr) return {name};
  if (FindWrittenField(*v1::Fleet::descriptor(), first) != nullptr) return {absl::StrCat("fleet.", name)};
  std::vector<std::string> fields;
  if (plan.variables().contains(name)) fields.push_back(absl::StrCat("variables.", name));
  for (int i = 0; i < plan.scripts_size(); ++i) {
    if (plan.scripts(i).variables().contains(name))
      fields.push_back(absl::StrCat("scripts.", i, ".variables.", name));
  }
  return fields;
}

}  // namespace

absl::StatusOr<std::vector<SweepSetting>> SweepSettings(const v1::Plan& plan) {
  if (plan.sweep().empty()) return std::vector<SweepSetting>();
  std::vector<SweepSetting> settings(1);
  const std::map<std::string, v1::SweepValues> sorted(plan.sweep().begin(), plan.sweep().end());
  for (const auto& [name, values] : sorted) {
    const auto wrong = [&name = name](const std::string& what) {
      return absl::InvalidArgumentError(absl::StrCat("sweep.", ShownText(name), ": ", what));
    };
    const std::vector<std::string> fields = FieldsOf(name, plan);
    if (fields.empty() || name == "sweep" || name == "sweep_order")
      return wrong("no field of a plan, and no variable that the plan or a script of it has");
    if (values.values().empty()) return wrong("no values; expected a list of them");
    std::set<std::string> seen;
    for (const std::string& value : values.values()) {
      if (!seen.insert(value).second)
        return wrong(absl::StrCat(QuotedText(value), " is there twice; expected it once"));
    }
    if (settings.size() * seen.size() > kMostCells)
      return absl::InvalidArgumentError(
          absl::StrCat("sweep: more than ", kMostCells, " combinations; expected fewer values"));
    std::vector<SweepSetting> more;
    for (const SweepSetting& setting : settings) {
      for (const std::string& value : values.values()) {
        SweepSetting& with = more.emplace_back(setting);
        with.values[name] = value;
        for (const std::string& field : fields) with.overrides.push_back(absl::StrCat(field, "=", value));
      }
    }
    settings = std::move(more);
  }
  for (size_t i = 0; i < settings.size(); ++i) settings[i].number = static_cast<uint32_t>(i);
  return settings;
}

std::vector<uint32_t> SweepSequence(const v1::Plan& plan, size_t cells) {
  std::vector<uint32_t> sequence(cells);
  std::iota(sequence.begin(), sequence.end(), 0);
  if (plan.sweep_order() != v1::SWEEP_ORDER_RANDOM) return sequence;
  Random random(MixSeed(plan.seed(), kStream));
  for (size_t i = cells; i > 1; --i) std::swap(sequence[i - 1], sequence[random.Between(0, i - 1)]);
  return sequence;
}

}  // namespace trunkload

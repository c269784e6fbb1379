#include "controller/plan/plan_loader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "controller/plan/plan_check.h"
#include "controller/plan/plan_override.h"
#include "controller/plan/yaml_document.h"
#include "controller/plan/yaml_reader.h"

namespace trunkload {
namespace {

constexpr size_t kLargestFile = size_t{1} << 20;

absl::Status TooLarge(const std::string& file) {
  return absl::InvalidArgumentError(absl::StrCat(file, ": larger than 1 MiB; expected a plan"));
}

absl::StatusOr<std::string> ReadFile(const std::string& file) {
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, absl::StrCat(file, ": the plan can't be read"));
  const absl::Cleanup close_file = [descriptor] { close(descriptor); };
  struct stat attributes;
  if (fstat(descriptor, &attributes) == 0) {
    if (S_ISDIR(attributes.st_mode))
      return absl::InvalidArgumentError(absl::StrCat(file, ": a directory; expected a plan"));
    if (S_ISREG(attributes.st_mode) && attributes.st_size > static_cast<off_t>(kLargestFile))
      return TooLarge(file);
  }
  std::string text;
  char buffer[16 * 1024];
  while (text.size() <= kLargestFile) {
    const ssize_t size = read(descriptor, buffer, sizeof buffer);
    if (size == 0) return text;
    if (size < 0 && errno != EINTR)
      return absl::ErrnoToStatus(errno, absl::StrCat(file, ": the plan can't be read"));
    if (size > 0) text.append(buffer, static_cast<size_t>(size));
  }
  return TooLarge(file);
}

}  // namespace

absl::StatusOr<v1::Plan> LoadPlan(const std::string& file, const PlanOverrides& overrides) {
  absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return text.status();
  return ParsePlan(*text, file, overrides);
}

absl::StatusOr<v1::Plan> ParsePlan(absl::string_view yaml, const std::string& file,
                                   const PlanOverrides& overrides) {
  if (yaml.size() > kLargestFile) return TooLarge(file);
  const YamlSource source{.name = file};
  const absl::StatusOr<YAML::Node> document = ParseYaml(yaml, source);
  if (!document.ok()) return document.status();
  if (document->IsNull()) return absl::InvalidArgumentError(absl::StrCat(file, ": empty; expected a plan"));

  v1::Plan plan;
  FieldPlaces places;
  YamlReader reader(source, places);
  reader.ReadMessage(*document, "", plan);
  std::vector<std::string> sentences = reader.mistakes();
  for (const std::string& setting : overrides.set) ApplyOverride(setting, plan, places, sentences);
  if (overrides.target) {
    plan.mutable_target()->Clear();
    plan.mutable_target()->set_conninfo(*overrides.target);
    places.Replace("target", "--target");
  }
  if (!sentences.empty()) return InvalidPlan(std::move(sentences));

  for (const PlanMistake& mistake : CompleteAndCheck(plan)) {
    sentences.push_back(absl::StrCat(places.Find(mistake.field, file), ": ", mistake.field,
                                     mistake.field.empty() ? "" : ": ", mistake.what));
  }
  if (!sentences.empty()) return InvalidPlan(std::move(sentences));
  return plan;
}

}  // namespace trunkload

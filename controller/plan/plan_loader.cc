#include "controller/plan/plan_loader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/utf8.h"
#include "controller/plan/plan_check.h"
#include "controller/plan/plan_override.h"
#include "controller/plan/yaml_document.h"
#include "controller/plan/yaml_reader.h"

namespace trunkload {
namespace {

constexpr size_t kLargestFile = size_t{1} << 20;
constexpr size_t kLongestMessage = 1000;

// What a file is read for.
struct FileKind {
  absl::string_view what;
  // Whether a pipe or a device will do.
  bool only_regular;
};
constexpr FileKind kPlanFile{"plan", false};
constexpr FileKind kScriptFile{"script", true};

absl::Status TooLarge(const std::string& file, const FileKind& kind) {
  return absl::InvalidArgumentError(absl::StrCat(file, ": larger than 1 MiB; expected a ", kind.what));
}

absl::Status CheckAttributes(const struct stat& attributes, const std::string& file, const FileKind& kind) {
  if (S_ISDIR(attributes.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(file, ": a directory; expected a ", kind.what));
  if (S_ISREG(attributes.st_mode))
    return attributes.st_size > static_cast<off_t>(kLargestFile) ? TooLarge(file, kind) : absl::OkStatus();
  if (!kind.only_regular) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(file, ": a pipe or a device; expected a file with a ", kind.what));
}

absl::StatusOr<std::string> ReadFile(const std::string& file, const FileKind& kind) {
  const auto unreadable = [&file, &kind] {
    return absl::ErrnoToStatus(errno, absl::StrCat(file, ": the ", kind.what, " can't be read"));
  };
  // Nothing is waited for where a pipe is not wanted anyway.
  const int flags = O_RDONLY | O_CLOEXEC | (kind.only_regular ? O_NONBLOCK : 0);
  const int descriptor = open(file.c_str(), flags);
  if (descriptor < 0) return unreadable();
  const absl::Cleanup close_file = [descriptor] { close(descriptor); };
  struct stat attributes;
  if (fstat(descriptor, &attributes) != 0) return unreadable();
  if (absl::Status status = CheckAttributes(attributes, file, kind); !status.ok()) return status;
  std::string text;
  char buffer[16 * 1024];
  while (text.size() <= kLargestFile) {
    const ssize_t size = read(descriptor, buffer, sizeof buffer);
    if (size == 0) return text;
    if (size < 0 && errno != EINTR) return unreadable();
    if (size > 0) text.append(buffer, static_cast<size_t>(size));
  }
  return TooLarge(file, kind);
}

// Those that have no text yet.
std::vector<PlanMistake> ReadScripts(const std::filesystem::path& folder, v1::Plan& plan) {
  std::vector<PlanMistake> mistakes;
  for (int i = 0; i < plan.scripts_size(); ++i) {
    v1::Script& script = *plan.mutable_scripts(i);
    if (script.file().empty() || !script.text().empty() || script.builtin() != v1::BUILTIN_UNSPECIFIED)
      continue;
    if (const absl::Status status = ReadScript(folder, script); !status.ok()) {
      mistakes.push_back({absl::StrCat("scripts.", i, ".file"), OneLine(status.message(), kLongestMessage)});
    }
  }
  return mistakes;
}

// Files of scripts are read where there is a folder.
absl::StatusOr<v1::Plan> Parse(absl::string_view yaml, const std::string& file,
                               const PlanOverrides& overrides,
                               const std::optional<std::filesystem::path>& folder) {
  if (yaml.size() > kLargestFile) return TooLarge(file, kPlanFile);
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
    // How hosts are shared is no part of where they are.
    plan.mutable_target()->clear_service();
    plan.mutable_target()->set_conninfo(*overrides.target);
    places.Replace("target", "--target");
  }
  if (!sentences.empty()) return InvalidPlan(std::move(sentences));

  std::vector<PlanMistake> mistakes;
  if (folder) mistakes = ReadScripts(*folder, plan);
  if (mistakes.empty()) mistakes = CompleteAndCheck(plan);
  for (const PlanMistake& mistake : mistakes)
    sentences.push_back(absl::StrCat(places.Find(mistake.field, file), ": ", mistake.Sentence()));
  if (!sentences.empty()) return InvalidPlan(std::move(sentences));
  return plan;
}

}  // namespace

absl::Status ReadScript(const std::filesystem::path& folder, v1::Script& script) {
  // open() would take what stands before it for the name.
  if (absl::StrContains(script.file(), '\0'))
    return absl::InvalidArgumentError("holds a NUL character; expected a file's name");
  absl::StatusOr<std::string> text = ReadFile(folder / script.file(), kScriptFile);
  if (!text.ok()) return text.status();
  if (text->empty())
    return absl::InvalidArgumentError(absl::StrCat(script.file(), ": empty; expected a script"));
  script.set_text(*std::move(text));
  return absl::OkStatus();
}

absl::StatusOr<v1::Plan> LoadPlan(const std::string& file, const PlanOverrides& overrides) {
  absl::StatusOr<std::string> text = ReadFile(file, kPlanFile);
  if (!text.ok()) return text.status();
  return Parse(*text, file, overrides, std::filesystem::path(file).parent_path());
}

absl::StatusOr<v1::Plan> ParsePlan(absl::string_view yaml, const std::string& file,
                                   const PlanOverrides& overrides) {
  return Parse(yaml, file, overrides, std::nullopt);
}

}  // namespace trunkload

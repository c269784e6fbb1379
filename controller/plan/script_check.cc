#include "controller/plan/script_check.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/script/script_parser.h"
#include "common/utf8.h"
#include "controller/plan/builtin_scripts.h"
#include "controller/plan/check_scripts.h"
#include "controller/plan/plan_text.h"

namespace trunkload {
namespace {

constexpr char kBatch[] = "batch";
constexpr char kUsualBatch[] = "100";
constexpr uint32_t kLargestBatch = 20'000;
constexpr size_t kLongestName = 64;
constexpr size_t kLongestLine = 400;
// More of these is a slip of the pen, or somebody who wants the controller's memory.
constexpr size_t kMostVariables = 1000;
constexpr size_t kLargestText = size_t{1} << 20;
constexpr size_t kLargestTexts = size_t{16} << 20;
// Each command that is measured has histograms of its own, on every agent.
constexpr size_t kMostMeasuredCommands = 500;
// Of a check's script that the plan does not name itself.
constexpr uint32_t kTriesOfChecks = 10;

std::string ScriptField(int index, absl::string_view field) {
  return FieldPath(absl::StrCat("scripts.", index), field);
}

std::string BuiltinName(const v1::Script& script) {
  return EnumText(*v1::Builtin_descriptor()->FindValueByNumber(script.builtin()));
}

std::string NameFor(const v1::Script& script, int index) {
  if (script.builtin() != v1::BUILTIN_UNSPECIFIED) return BuiltinName(script);
  const std::string stem = std::filesystem::path(script.file()).stem().string();
  return stem.empty() ? absl::StrCat("script-", index + 1) : stem;
}

// Mistakes come in the same order each time.
std::map<std::string, std::string> Sorted(const google::protobuf::Map<std::string, std::string>& variables) {
  return {variables.begin(), variables.end()};
}

bool IsVariableName(const std::string& name) {
  if (name.empty() || !VariableNames::IsStart(name[0])) return false;
  for (const char c : name) {
    if (!VariableNames::IsPart(c)) return false;
  }
  return true;
}

// What libpq and protobuf take for a text.
bool IsText(absl::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = FirstCharacter(text.substr(at));
    if (character.bytes == 0 || character.code == 0) return false;
    at += character.bytes;
  }
  return true;
}

absl::Status CheckCharacters(const ScriptSource& source) {
  const absl::string_view text(source.text().data(), source.text().size());
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = FirstCharacter(text.substr(at));
    if (character.bytes == 0) return source.Wrong(at, "not UTF-8; expected a text file, saved as UTF-8");
    if (character.code == 0) return source.Wrong(at, "a NUL character; expected text only");
    at += character.bytes;
  }
  return absl::OkStatus();
}

// The script's own lines, which come below the sentence, are indented, so that they can't be taken for
// another one.
std::string Indented(absl::string_view message) {
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(message, '\n')) {
    lines.push_back(absl::StrCat(lines.empty() ? "" : "    ", OneLine(line, kLongestLine)));
  }
  return absl::StrJoin(lines, "\n");
}

class ScriptCheck {
 public:
  explicit ScriptCheck(const v1::Plan& plan) : plan_(plan) {}

  std::vector<PlanMistake> Run() && {
    Variables("variables", plan_.variables());
    for (int i = 0; i < plan_.scripts_size(); ++i) Check(i, plan_.scripts(i));
    if (text_bytes_ > kLargestTexts) {
      Wrong("scripts", "all texts together are larger than ", kLargestTexts >> 20,
            " MiB; expected less of them");
    }
    if (measured_commands_ > kMostMeasuredCommands) {
      Wrong("scripts", "per_command would measure ", measured_commands_, " commands; expected at most ",
            kMostMeasuredCommands);
    }
    return std::move(mistakes_);
  }

 private:
  template <typename... Parts>
  void Wrong(const std::string& field, const Parts&... what) {
    mistakes_.push_back({field, absl::StrCat(what...)});
  }

  void Check(int i, const v1::Script& script) {
    Name(ScriptField(i, "name"), script.name());
    if (!IsOneScript(i, script)) return;
    if (IsInsert(script.builtin())) {
      InsertVariables(i, script);
      InsertOptions(i, script);
    } else {
      Variables(ScriptField(i, "variables"), script.variables());
      Text(i, script);
    }
    if (CheckOf(script.builtin()) != v1::CHECK_UNSPECIFIED) OfCheck(i, script);
  }

  void OfCheck(int i, const v1::Script& script) {
    const v1::Check check = CheckOf(script.builtin());
    if (std::find(plan_.checks().begin(), plan_.checks().end(), check) == plan_.checks().end()) {
      const std::string name = EnumText(*v1::Check_descriptor()->FindValueByNumber(check));
      Wrong(ScriptField(i, "builtin"), "is one of the check ", name,
            ", which the plan does not have; expected checks: [", name, "]");
    }
    for (int before = 0; before < i; ++before) {
      // Their operations could not be told apart.
      if (plan_.scripts(before).builtin() == script.builtin())
        Wrong(ScriptField(i, "builtin"), "is scripts.", before, " too; expected a check's script once");
    }
    if (script.query_mode() == v1::QUERY_MODE_SIMPLE)
      Wrong(ScriptField(i, "query_mode"), "not for a script of a check; expected extended or prepared");
    std::map<std::string, std::string> known;
    for (const auto& [name, value] : VariablesOf(check, plan_.check_options()))
      known[name] = absl::StrCat(value);
    for (const auto& [name, value] : Sorted(script.variables())) {
      const std::string field = FieldPath(ScriptField(i, "variables"), ShownText(name));
      const auto found = known.find(name);
      if (found == known.end()) {
        Wrong(field, "unknown; ", BuiltinName(script), " takes its variables from check_options");
      } else if (found->second != value) {
        Wrong(field, "is ", QuotedText(value), ", and the table is made for ", found->second,
              "; expected check_options.", absl::StripPrefix(name, kCheckVariable), " in its place");
      }
    }
  }

  void Name(const std::string& field, const std::string& name) {
    bool printable = name.size() <= kLongestName && IsText(name);
    for (size_t at = 0; printable && at < name.size();) {
      const Utf8Character character = FirstCharacter(absl::string_view(name).substr(at));
      printable = !IsControl(character.code);
      at += character.bytes;
    }
    if (!printable) {
      Wrong(field, QuotedText(name), " is not a name; expected printable characters, at most ", kLongestName,
            " bytes");
    }
  }

  // What a script is completed with stands beside what was written: a builtin's text, or a file's.
  bool IsOneScript(int i, const v1::Script& script) {
    const size_t before = mistakes_.size();
    if (script.builtin() == v1::BUILTIN_UNSPECIFIED) {
      if (script.file().empty() && script.text().empty()) {
        Wrong(absl::StrCat("scripts.", i), "no script; expected one of builtin, file and text");
      } else if (script.text().empty()) {
        Wrong(ScriptField(i, "file"),
              "its text is missing: a controller reads no files of others; expected text beside file");
      }
    } else if (!script.file().empty()) {
      Wrong(ScriptField(i, "file"),
            "excludes builtin, which is there, too; expected one of builtin, file and text");
    } else if (absl::string_view(script.text()) != BuiltinText(script.builtin())) {
      Wrong(ScriptField(i, "text"),
            "excludes builtin, which is there, too; expected one of builtin, file and text");
    }
    return mistakes_.size() == before;
  }

  void InsertVariables(int i, const v1::Script& script) {
    const bool has_batch = script.builtin() != v1::BUILTIN_INSERT_SINGLE;
    for (const auto& [name, value] : Sorted(script.variables())) {
      const std::string field = FieldPath(ScriptField(i, "variables"), ShownText(name));
      uint32_t batch = 0;
      if (!has_batch || name != kBatch) {
        Wrong(field, "unknown; ", BuiltinName(script),
              has_batch ? " has only the variable batch" : " has no variables");
      } else if (value.find_first_not_of("0123456789") != value.npos || !absl::SimpleAtoi(value, &batch) ||
                 batch == 0 || batch > kLargestBatch) {
        Wrong(field, QuotedText(value), " is no batch; expected a whole number from 1 to ", kLargestBatch);
      }
    }
  }

  void InsertOptions(int i, const v1::Script& script) {
    const auto only_in_text = [this, i, &script](absl::string_view field) {
      Wrong(ScriptField(i, field), "not for ", BuiltinName(script),
            ", only for scripts in pgbench's language; expected it left out");
    };
    if (script.query_mode() == v1::QUERY_MODE_SIMPLE) only_in_text("query_mode");
    if (script.max_tries() != 1) only_in_text("max_tries");
    if (!script.continue_on_error()) only_in_text("continue_on_error");
    if (script.per_command()) only_in_text("per_command");
    if (!script.distribution_key().empty()) only_in_text("distribution_key");
  }

  void Variables(const std::string& field, const google::protobuf::Map<std::string, std::string>& variables) {
    if (variables.size() > kMostVariables)
      Wrong(field, variables.size(), " variables; expected at most ", kMostVariables);
    for (const auto& [name, value] : Sorted(variables)) {
      const std::string variable = FieldPath(field, ShownText(name));
      if (!IsVariableName(name)) {
        Wrong(variable, QuotedText(name),
              " can't be a variable's name; expected letters, digits and '_', not a digit first");
      } else if (!IsText(value)) {
        Wrong(variable, "holds a NUL character or is not UTF-8; expected text only");
      }
    }
  }

  void Text(int i, const v1::Script& script) {
    const bool from_file = !script.file().empty();
    const std::string field = ScriptField(i, from_file ? "file" : "text");
    text_bytes_ += script.text().size();
    if (script.text().size() > kLargestText) {
      Wrong(field, "larger than ", kLargestText >> 20, " MiB; expected a script");
      return;
    }
    const ScriptSource source(script.file(), script.text());
    absl::Status status = CheckCharacters(source);
    if (status.ok()) {
      const absl::StatusOr<Script> parsed = ParseScript(source, names_);
      status = parsed.status();
      // Whether it may run commands of the shell is for each agent to say.
      if (parsed.ok())
        status =
            parsed->CheckRunnable({.shell = true, .pipelines = script.query_mode() != v1::QUERY_MODE_SIMPLE});
      if (parsed.ok()) DistributionKey(i, script);
      if (parsed.ok() && script.per_command()) measured_commands_ += parsed->commands.size();
    }
    if (!status.ok()) WrongInside(field, Indented(status.message()));
  }

  void DistributionKey(int i, const v1::Script& script) {
    VariableNames used;
    if (script.distribution_key().empty() || !ParseScript(ScriptSource("", script.text()), used).ok()) return;
    if (used.Find(script.distribution_key())) return;
    Wrong(ScriptField(i, "distribution_key"), QuotedText(script.distribution_key()),
          " is no variable of the script; expected the name of one that it uses");
  }

  // `message` begins with the place: "FILE:LINE:COLUMN: ", without FILE for a text that stands in the plan.
  void WrongInside(const std::string& field, const std::string& message) {
    if (!absl::StartsWith(message, ":")) {
      Wrong(field, message);
      return;
    }
    std::pair<std::string, std::string> parts = absl::StrSplit(message, absl::MaxSplits(": ", 1));
    mistakes_.push_back({field, std::move(parts.second), std::move(parts.first)});
  }

  const v1::Plan& plan_;
  std::vector<PlanMistake> mistakes_;
  VariableNames names_;
  size_t text_bytes_ = 0;
  size_t measured_commands_ = 0;
};

}  // namespace

std::vector<PlanMistake> CheckWrittenScripts(const v1::Plan& plan) {
  std::vector<PlanMistake> mistakes;
  for (int i = 0; i < plan.scripts_size(); ++i) {
    const v1::Script& script = plan.scripts(i);
    const bool other =
        !script.file().empty() || !script.text().empty() || !BuiltinText(script.builtin()).empty();
    if (other && script.has_keys()) {
      mistakes.push_back(
          {ScriptField(i, "keys"), "only for insert-…; expected none, or variables of the script"});
    }
  }
  return mistakes;
}

void AddScriptsOfChecks(v1::Plan& plan) {
  // Those of more than a run's checks can't be told apart from a slip of the pen.
  for (int i = 0; i < plan.checks_size() && i < v1::Check_ARRAYSIZE; ++i) {
    const v1::Check check = plan.checks(i);
    const bool there =
        std::any_of(plan.scripts().begin(), plan.scripts().end(), [check](const v1::Script& script) {
          return script.builtin() != v1::BUILTIN_UNSPECIFIED && CheckOf(script.builtin()) == check;
        });
    if (there || check == v1::CHECK_UNSPECIFIED) continue;
    for (const v1::Builtin builtin : ScriptsOf(check)) {
      v1::Script& script = *plan.add_scripts();
      script.set_builtin(builtin);
      script.set_max_tries(kTriesOfChecks);
    }
  }
}

void CompleteScripts(v1::Plan& plan) {
  for (int i = 0; i < plan.scripts_size(); ++i) {
    v1::Script& script = *plan.mutable_scripts(i);
    if (script.name().empty()) script.set_name(NameFor(script, i));
    if (IsInsert(script.builtin())) {
      if (script.builtin() != v1::BUILTIN_INSERT_SINGLE)
        script.mutable_variables()->insert({kBatch, kUsualBatch});
      continue;
    }
    script.clear_keys();
    if (script.text().empty()) script.set_text(std::string(BuiltinText(script.builtin())));
    script.clear_recorded();
    const v1::Check check = CheckOf(script.builtin());
    if (check == v1::CHECK_UNSPECIFIED) continue;
    script.set_recorded(true);
    for (const auto& [name, value] : VariablesOf(check, plan.check_options()))
      script.mutable_variables()->insert({name, absl::StrCat(value)});
  }
}

std::vector<PlanMistake> CheckScripts(const v1::Plan& plan) {
  return ScriptCheck(plan).Run();
}

}  // namespace trunkload

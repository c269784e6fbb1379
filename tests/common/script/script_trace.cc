// script_trace: runs a script once without a database, and writes what a client would do: the statements that
// it would send, as wire_server logs them, and what debug() is given. Rows never come back. Exits with
// pgbench's statuses: 1 for a script that can't be run, 2 where it fails while it runs.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/script/script_cursor.h"
#include "common/script/script_parser.h"

namespace trunkload {
namespace {

class Trace {
 public:
  Trace(const Script& script, VariableNames& names, bool extended, uint64_t seed)
      : script_(script), names_(names), variables_(names), extended_(extended), random_(0) {
    // As of pgbench's first client, and its only one.
    Random base(seed);
    random_ = Random(base.Next());
    Define("default_seed", static_cast<int64_t>(base.Next()));
    Define("random_seed", static_cast<int64_t>(seed));
    Define("client_id", 0);
    Define("scale", 1);
  }

  void SetText(const std::string& name, const std::string& text) {
    variables_.SetText(names_.Number(name), text);
  }

  absl::Status Run() {
    const auto debug = [](const Value& value) {
      const std::string_view type = TypeName(value.type());
      std::printf("debug %.*s%s\n", static_cast<int>(type.size()), type.data(),
                  value.is_null() ? "" : (" " + ToText(value)).c_str());
    };
    ScriptCursor cursor(script_);
    while (true) {
      const absl::StatusOr<const Command*> command = cursor.Next({variables_, random_, debug});
      if (!command.ok()) return command.status();
      if (*command == nullptr) return absl::OkStatus();
      if (const auto* sql = std::get_if<SqlCommand>(&(*command)->action)) Send(sql->statement);
      const auto* sleep = std::get_if<SleepCommand>(&(*command)->action);
      if (sleep != nullptr && sleep->variable.has_value() && !variables_.defined(*sleep->variable)) {
        return absl::FailedPreconditionError("undefined variable");
      }
    }
  }

 private:
  void Send(const SqlStatement& statement) {
    if (!extended_) {
      std::string text;
      statement.Substitute(variables_, text);
      std::printf("Q %s\n", absl::CEscape(text).c_str());
      return;
    }
    char buffer[kValueTextBytes];
    std::string line = "B";
    for (const SqlStatement::Use& use : statement.uses) {
      const bool defined = variables_.defined(use.variable);
      const std::string_view text = defined ? variables_.Text(use.variable, buffer) : std::string_view();
      absl::StrAppend(&line, " ",
                      defined ? absl::CEscape(absl::string_view(text.data(), text.size())) : "\\N");
    }
    std::printf("P %s\n%s\n", absl::CEscape(statement.numbered).c_str(), line.c_str());
  }

  void Define(const std::string& name, int64_t value) {
    variables_.Set(names_.Number(name), Value::Integer(value));
  }

  const Script& script_;
  VariableNames& names_;
  Variables variables_;
  const bool extended_;
  Random random_;
};

int Main(int argc, char** argv) {
  CLI::App app("Runs a script of pgbench's language once, without a database");
  std::string file;
  uint64_t seed = 0;
  bool extended = false;
  std::vector<std::string> definitions;
  app.add_option("FILE", file)->required();
  app.add_option("--random-seed", seed);
  app.add_flag("--extended", extended);
  app.add_option("-D", definitions);
  CLI11_PARSE(app, argc, argv);

  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  VariableNames names;
  for (const std::string& definition : definitions) names.Number(definition.substr(0, definition.find('=')));
  for (const char* known : {"default_seed", "random_seed", "client_id", "scale"}) names.Number(known);
  const absl::StatusOr<Script> script = ParseScript(ScriptSource(file, text), names);
  if (!script.ok()) {
    std::fprintf(stderr, "%s\n", std::string(script.status().message()).c_str());
    return 1;
  }
  Trace trace(*script, names, extended, seed);
  for (const std::string& definition : definitions) {
    const size_t equals = definition.find('=');
    trace.SetText(definition.substr(0, equals), definition.substr(equals + 1));
  }
  if (absl::Status status = trace.Run(); !status.ok()) {
    std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace trunkload

int main(int argc, char** argv) {
  return trunkload::Main(argc, argv);
}

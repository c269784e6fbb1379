#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "common/random.h"
#include "common/script/script_cursor.h"
#include "common/script/script_parser.h"
#include "tests/fuzz/check.h"

namespace trunkload {
namespace {

// Each variable as something else, and some as nothing.
void Define(Variables& variables, size_t count) {
  const char* const texts[] = {"12", "-9223372036854775808", "true", "0.5", "null", "no number"};
  for (size_t i = 0; i < count; ++i) {
    if (i % 7 < std::size(texts)) variables.SetText(static_cast<uint32_t>(i), texts[i % 7]);
  }
}

void Run(const Script& script, const VariableNames& names) {
  Variables variables(names);
  Define(variables, names.size());
  Random random(1);
  size_t debugged = 0;
  const auto debug = [&](const Value& value) { debugged += ToText(value).size(); };
  ScriptCursor cursor(script);
  // Scripts have no loops.
  for (size_t steps = 0; steps <= script.commands.size(); ++steps) {
    const absl::StatusOr<const Command*> command = cursor.Next({variables, random, debug});
    if (!command.ok()) {
      FUZZ_CHECK(absl::StartsWith(command.status().message(), "fuzz:"), command.status());
      return;
    }
    if (*command == nullptr) return;
    const auto* sql = std::get_if<SqlCommand>(&(*command)->action);
    if (sql == nullptr) continue;
    std::string text;
    sql->statement.Substitute(variables, text);
    FUZZ_CHECK(!text.empty(), sql->statement.text);
    FUZZ_CHECK(!sql->statement.uses.empty() || sql->statement.numbered == sql->statement.text,
               sql->statement.numbered);
  }
  FUZZ_CHECK(false, "the script does not end");
}

}  // namespace
}  // namespace trunkload

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  trunkload::VariableNames names;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<trunkload::Script> script =
      trunkload::ParseScript(trunkload::ScriptSource("fuzz", text), names);
  if (!script.ok()) {
    FUZZ_CHECK(absl::StartsWith(script.status().message(), "fuzz:"), script.status());
    return 0;
  }
  trunkload::Run(*script, names);
  return 0;
}

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "controller/pgbench/options.h"
#include "tests/fuzz/check.h"

// An argument on each line.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trunkload::PgbenchOptions;
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> arguments;
  // The kernel hands over none with a 0 in it.
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    arguments.emplace_back(line.substr(0, line.find('\0')));
  }
  const auto request = trunkload::ParsePgbenchOptions(arguments, nullptr);
  if (!request.ok()) {
    FUZZ_CHECK(absl::IsInvalidArgument(request.status()), text);
    FUZZ_CHECK(!request.status().message().empty(), text);
    return 0;
  }
  if (!request->print.empty() || !request->print_on_stderr.empty()) return 0;
  const PgbenchOptions& options = request->options;
  FUZZ_CHECK(options.threads <= options.clients || options.initialize, text);
  FUZZ_CHECK(options.initialize || !options.scripts.empty(), text);
  FUZZ_CHECK(!(options.transactions.has_value() && options.duration.has_value()), text);
  return 0;
}

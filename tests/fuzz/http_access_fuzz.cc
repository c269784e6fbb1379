#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "controller/http/access_rules.h"
#include "controller/http/html.h"
#include "tests/fuzz/check.h"

// Lines: Host, Origin, Sec-Fetch-Site, Authorization, and the path.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> lines =
      absl::StrSplit(absl::string_view(reinterpret_cast<const char*>(data), size), '\n');
  lines.resize(5);
  const trunkload::HttpAsk ask{.method = "GET",
                               .path = lines[4],
                               .has_body = false,
                               .host = lines[0],
                               .origin = lines[1].empty() ? std::nullopt : std::optional(lines[1]),
                               .sec_fetch_site = lines[2].empty() ? std::nullopt : std::optional(lines[2]),
                               .authorization = lines[3].empty() ? std::nullopt : std::optional(lines[3])};
  // Nobody guesses this one: it is not in any input.
  const std::string token("\x01 token\n that no line holds");
  const auto with_token = CheckHttpAccess(ask, {.loopback = false, .token = token});
  FUZZ_CHECK(with_token.has_value() || ask.path == trunkload::kHealthPath, lines[3]);
  const auto loopback = CheckHttpAccess(ask, {.loopback = true, .token = std::nullopt});
  if (!loopback && ask.path != trunkload::kHealthPath) {
    // Whoever is answered has named this machine.
    const bool named = lines[0].find("127.") == 0 || lines[0].find("[::1]") == 0 ||
                       trunkload::IsLoopbackHost(lines[0].substr(0, lines[0].find(':')));
    FUZZ_CHECK(named, lines[0]);
  }
  const std::string escaped = trunkload::EscapedHtml(lines[4]);
  FUZZ_CHECK(escaped.find_first_of("<>\"'") == std::string::npos, escaped);
  return 0;
}

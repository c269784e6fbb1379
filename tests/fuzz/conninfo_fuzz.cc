#include <libpq-fe.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "controller/plan/conninfo.h"
#include "tests/fuzz/check.h"

namespace {

// What libpq would connect with.
std::map<std::string, std::string> OptionsOf(const std::string& conninfo) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(conninfo.c_str(), nullptr), &PQconninfoFree);
  std::map<std::string, std::string> values;
  for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword != nullptr;
       ++option) {
    if (option->val != nullptr) values[option->keyword] = option->val;
  }
  return values;
}

// Nothing but the passwords is lost.
void CheckRedacted(const std::string& conninfo) {
  const std::string redacted = trunkload::RedactedConninfo(conninfo);
  if (!trunkload::CheckConninfo(conninfo).ok()) {
    FUZZ_CHECK(redacted.empty(), redacted);
    return;
  }
  std::map<std::string, std::string> expected = OptionsOf(conninfo);
  expected.erase("password");
  expected.erase("sslpassword");
  FUZZ_CHECK(trunkload::CheckConninfo(redacted).ok(), redacted);
  FUZZ_CHECK(OptionsOf(redacted) == expected, redacted);
}

// What is left holds nothing more that is secret, and whoever looks at texts from outside was told.
void CheckSecrets(const std::string& conninfo) {
  FUZZ_CHECK(!trunkload::SecretsOf(trunkload::RedactedConninfo(conninfo)).any(), conninfo);
  if (trunkload::SecretsOf(conninfo).any()) FUZZ_CHECK(trunkload::MayHoldPassword(conninfo), conninfo);
}

// A password that anything surrounds appears nowhere.
void CheckHidden(const std::string& conninfo, const std::string& password) {
  FUZZ_CHECK(!absl::StrContains(trunkload::CheckConninfo(conninfo).message(), password), conninfo);
  FUZZ_CHECK(!absl::StrContains(trunkload::RedactedConninfo(conninfo), password), conninfo);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  CheckRedacted(text);
  CheckSecrets(text);
  const std::string password = "Geheim7Wort";
  // The text may spell it itself, with escapes between its letters.
  if (absl::StrContains(text, '%') || absl::StrContains(absl::StrReplaceAll(text, {{"\\", ""}}), password))
    return 0;
  for (const std::string& conninfo :
       {absl::StrCat("password=", password, " ", text), absl::StrCat("password='", password, text),
        absl::StrCat("postgresql://u:", password, "@", text)}) {
    CheckHidden(conninfo, password);
  }
  return 0;
}

#include "controller/plan/conninfo.h"

#include <libpq-fe.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "controller/plan/plan_text.h"

namespace trunkload {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

// libpq's own parser, so that no other spelling of a password is missed: quoting, escapes, URIs, percent
// signs. Null and libpq's message where it doesn't understand.
struct Parsed {
  Options options;
  std::string error;
};

Parsed Parse(const std::string& conninfo) {
  char* error = nullptr;
  Parsed parsed{.options = Options(PQconninfoParse(conninfo.c_str(), &error)), .error = ""};
  if (error != nullptr) {
    parsed.error = std::string(absl::StripAsciiWhitespace(error));
    PQfreemem(error);
  }
  return parsed;
}

// libpq marks what a dialog should hide (password, sslpassword).
bool IsSecret(const PQconninfoOption& option) {
  return absl::StartsWith(option.dispchar, "*");
}

void AppendPair(absl::string_view keyword, absl::string_view value, std::string& to) {
  absl::StrAppend(&to, to.empty() ? "" : " ", keyword, "='",
                  absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

// In a URI, a password with an @ or a / in it ends too early for libpq, and the rest of it is taken for a
// host, a port or a database.
bool HoldsStrayPassword(absl::string_view conninfo, const Parsed& parsed) {
  if (!absl::ConsumePrefix(&conninfo, "postgresql://") && !absl::ConsumePrefix(&conninfo, "postgres://"))
    return false;
  const absl::string_view before_options = conninfo.substr(0, conninfo.find('?'));
  const size_t at = before_options.find('@');
  if (at != absl::string_view::npos &&
      (before_options.find('/') < at || before_options.find('@', at + 1) != absl::string_view::npos)) {
    return true;
  }
  for (const PQconninfoOption* option = parsed.options.get(); option->keyword != nullptr; ++option) {
    if (absl::string_view(option->keyword) == "port" && option->val != nullptr) {
      return absl::string_view(option->val).find_first_not_of("0123456789,") != absl::string_view::npos;
    }
  }
  return false;
}

// libpq's message quotes the word that it stumbled over, which may be a piece of a password with a space in
// it. A name of an option is safe to show where nothing in the string looks like a password.
std::string NearestOption(const std::string& conninfo, absl::string_view error) {
  constexpr absl::string_view kUnknownOption = "invalid connection option \"";
  const bool may_show =
      !absl::StrContains(absl::AsciiStrToLower(conninfo), "pass") && !absl::StrContains(conninfo, "://");
  if (!may_show || !absl::ConsumePrefix(&error, kUnknownOption) || !absl::ConsumeSuffix(&error, "\""))
    return "";
  std::vector<std::string> known;
  const Parsed none = Parse("");
  for (const PQconninfoOption* option = none.options.get(); option != nullptr && option->keyword != nullptr;
       ++option) {
    known.emplace_back(option->keyword);
  }
  return absl::StrCat(": ", QuotedText(error), " is not an option of libpq's", DidYouMean(error, known));
}

}  // namespace

absl::Status CheckConninfo(const std::string& conninfo) {
  if (absl::StrContains(conninfo, '\0')) {
    return absl::InvalidArgumentError("a connection string can't hold a NUL character");
  }
  const Parsed parsed = Parse(conninfo);
  if (parsed.options && HoldsStrayPassword(conninfo, parsed)) {
    return absl::InvalidArgumentError(
        "a URI whose user or password holds an @, / or : as it is; write it as %40, %2F or %3A");
  }
  if (parsed.options) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "not a connection string that libpq understands", NearestOption(conninfo, parsed.error),
      "; expected key=value pairs such as host=db1 port=5432 dbname=bench user=bench (a value with "
      "spaces in single quotes), or a URI such as postgresql://bench@db1:5432/bench"));
}

bool IsConninfo(const std::string& database) {
  return absl::StrContains(database, '=') || absl::StartsWith(database, "postgresql://") ||
         absl::StartsWith(database, "postgres://");
}

std::string ConninfoFor(const std::string& database, const ConninfoDefaults& defaults) {
  std::string conninfo;
  const bool is_conninfo = IsConninfo(database);
  const Parsed parsed = Parse(is_conninfo ? database : "");
  if (!parsed.options) return database;
  for (const PQconninfoOption* option = parsed.options.get(); option->keyword != nullptr; ++option) {
    const absl::string_view keyword = option->keyword;
    std::string value = option->val == nullptr ? "" : option->val;
    if (value.empty() && keyword == "host") value = defaults.host;
    if (value.empty() && keyword == "port") value = defaults.port;
    if (value.empty() && keyword == "user") value = defaults.user;
    if (value.empty() && keyword == "dbname" && !is_conninfo) value = database;
    if (!value.empty()) AppendPair(keyword, value, conninfo);
  }
  return conninfo;
}

std::string ApplicationNameOf(const std::string& conninfo) {
  const Parsed parsed = Parse(conninfo);
  for (const PQconninfoOption* option = parsed.options.get(); option != nullptr && option->keyword != nullptr;
       ++option) {
    if (absl::string_view(option->keyword) == "application_name" && option->val != nullptr)
      return option->val;
  }
  return "";
}

std::vector<std::string> ConninfosByHost(const std::string& conninfo) {
  const Parsed parsed = Parse(conninfo);
  if (!parsed.options) return {};
  // One for each host; a port may stand for all of them.
  const auto is_list = [](absl::string_view keyword) {
    return keyword == "host" || keyword == "hostaddr" || keyword == "port";
  };
  size_t hosts = 1;
  std::map<std::string, std::vector<std::string>> lists;
  for (const PQconninfoOption* option = parsed.options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || !is_list(option->keyword)) continue;
    lists[option->keyword] = absl::StrSplit(option->val, ',');
    hosts = std::max(hosts, lists[option->keyword].size());
  }
  std::vector<std::string> conninfos(hosts);
  for (size_t first = 0; first < hosts; ++first) {
    for (const PQconninfoOption* option = parsed.options.get(); option->keyword != nullptr; ++option) {
      if (option->val == nullptr) continue;
      std::string value = option->val;
      if (const auto list = lists.find(option->keyword);
          list != lists.end() && list->second.size() == hosts) {
        std::rotate(list->second.begin(), list->second.begin() + static_cast<std::ptrdiff_t>(first),
                    list->second.end());
        value = absl::StrJoin(list->second, ",");
        std::rotate(list->second.begin(), list->second.end() - static_cast<std::ptrdiff_t>(first),
                    list->second.end());
      }
      AppendPair(option->keyword, value, conninfos[first]);
    }
  }
  return conninfos;
}

ConninfoSecrets SecretsOf(const std::string& conninfo) {
  ConninfoSecrets secrets;
  const Parsed parsed = Parse(conninfo);
  if (!parsed.options) return secrets;
  for (const PQconninfoOption* option = parsed.options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || !IsSecret(*option)) continue;
    if (absl::string_view(option->keyword) == "password") {
      secrets.password = option->val;
    } else {
      secrets.has_key_password = true;
    }
  }
  return secrets;
}

bool MayHoldPassword(absl::string_view text) {
  if (absl::StrContains(absl::AsciiStrToLower(text), "pass")) return true;
  const size_t scheme = text.find("://");
  if (scheme == absl::string_view::npos) return false;
  const absl::string_view rest = text.substr(scheme + 3);
  const size_t at = rest.rfind('@');
  if (at != absl::string_view::npos && absl::StrContains(rest.substr(0, at), ':')) return true;
  // The name of a parameter may be written with percent signs.
  return absl::StrContains(rest, '?') && absl::StrContains(rest, '%');
}

std::string RedactedConninfo(const std::string& conninfo) {
  const Parsed parsed = Parse(conninfo);
  if (!parsed.options || absl::StrContains(conninfo, '\0') || HoldsStrayPassword(conninfo, parsed)) return "";
  bool secret = false;
  std::string redacted;
  for (const PQconninfoOption* option = parsed.options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    if (IsSecret(*option)) {
      secret = true;
      continue;
    }
    AppendPair(option->keyword, option->val, redacted);
  }
  return secret ? redacted : conninfo;
}

}  // namespace trunkload

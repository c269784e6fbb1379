#include "controller/connect_error.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace trunkload {
namespace {

// libpq 15 gives no SQLSTATE for a connection that failed, so its words are all there is to go by. Where the
// server speaks another language no advice is given.
std::string Advice(absl::string_view message, const ConnectTarget& target) {
  const auto says = [message](absl::string_view words) { return absl::StrContains(message, words); };
  if (says("password authentication failed"))
    return "check the user's password: the password file, PGPASSWORD or the target";
  if (says("no password supplied")) {
    return "the server wants a password: put it into the password file (~/.pgpass) or PGPASSWORD";
  }
  if (says("no pg_hba.conf entry"))
    return "the server's pg_hba.conf lets nobody in from here with these settings";
  if (says("role \"") && says("does not exist")) return "check user= in the target, or create that role";
  if (says("database \"") && says("does not exist")) {
    return absl::StrCat("check dbname= in the target, or create it: createdb ", target.database);
  }
  if (says("Connection refused") || says("No such file or directory")) {
    return "check host= and port= in the target and that the server runs; `trunkload stack up` starts one to "
           "try on";
  }
  if (says("could not translate host name")) return "check host= in the target";
  if (says("definition of service"))
    return "check service: in the target and libpq's service file (~/.pg_service.conf)";
  if (says("too many clients") || says("remaining connection slots")) {
    return "raise max_connections on the server, or end what holds its connections";
  }
  if (says("no answer within"))
    return "check host= and port= in the target, and what filters the network between";
  return "";
}

}  // namespace

std::string OneLine(absl::string_view text, absl::string_view password) {
  std::vector<absl::string_view> lines;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    // A question for the reader, not a fact: our own advice comes after.
    if (line.empty() || absl::StartsWith(line, "Is the server running")) continue;
    lines.push_back(line);
  }
  std::string one = absl::StrJoin(lines, "; ");
  // Where to is said already; but of several hosts each has its own message.
  constexpr absl::string_view kAttempt = "connection to server ";
  if (absl::StartsWith(one, kAttempt) && one.rfind(kAttempt.data()) == 0) {
    if (const size_t failed = one.find(" failed: "); failed != one.npos) one.erase(0, failed + 9);
  }
  absl::StrReplaceAll({{"FATAL:  ", ""}, {"ERROR:  ", ""}}, &one);
  if (!password.empty()) absl::StrReplaceAll({{password, "***"}}, &one);
  return one;
}

std::string ConnectErrorText(const ConnectTarget& target, absl::string_view libpq_message) {
  std::vector<std::string> where;
  const auto add = [&where](absl::string_view key, const std::string& value) {
    if (!value.empty()) where.push_back(absl::StrCat(key, "=", value));
  };
  add("host", target.host);
  add("port", target.port);
  add("dbname", target.database);
  add("user", target.user);
  std::string text = absl::StrCat("cannot connect to the target",
                                  where.empty() ? "" : absl::StrCat(" (", absl::StrJoin(where, " "), ")"),
                                  ": ", libpq_message);
  if (const std::string advice = Advice(libpq_message, target); !advice.empty())
    absl::StrAppend(&text, "; ", advice);
  return text;
}

}  // namespace trunkload

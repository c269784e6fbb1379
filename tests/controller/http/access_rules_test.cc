#include "controller/http/access_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

constexpr char kToken[] = "0123456789abcdef:with-a-colon";

HttpAsk Ask(const std::string& path = "/") {
  return {.method = "GET",
          .path = path,
          .has_body = false,
          .host = "127.0.0.1:7480",
          .origin = std::nullopt,
          .sec_fetch_site = std::nullopt,
          .authorization = std::nullopt};
}

// 0: it is answered.
int Status(const HttpAsk& ask, const HttpRules& rules = {}) {
  const std::optional<HttpRefusal> refusal = CheckHttpAccess(ask, rules);
  if (refusal) EXPECT_NE(refusal->sentence, "");
  return refusal ? refusal->status : 0;
}

int WithHost(std::optional<std::string> host, bool loopback = true) {
  HttpAsk ask = Ask();
  ask.host = std::move(host);
  return Status(ask, {.loopback = loopback, .token = std::nullopt});
}

int WithAuthorization(const std::string& authorization) {
  HttpAsk ask = Ask();
  ask.authorization = authorization;
  return Status(ask, {.loopback = true, .token = kToken});
}

std::string Basic(const std::string& text) {
  return absl::StrCat("Basic ", absl::Base64Escape(text));
}

TEST(HttpAccessTest, PagesAreReadAndNothingElse) {
  EXPECT_EQ(Status(Ask()), 0);
  for (const char* method : {"POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "get"}) {
    HttpAsk ask = Ask();
    ask.method = method;
    EXPECT_EQ(Status(ask), 405) << method;
    ask.path = "/healthz";
    EXPECT_EQ(Status(ask), 405) << method;
  }
  HttpAsk ask = Ask();
  ask.has_body = true;
  EXPECT_EQ(Status(ask), 413);
}

TEST(HttpAccessTest, OnLoopbackOnlyNamesOfThisMachineAreAnswered) {
  for (const char* host : {"localhost", "LOCALHOST:7480", "127.0.0.1", "127.0.0.1:80", "127.3.2.1:7480",
                           "[::1]:7480", "[::1]"}) {
    EXPECT_EQ(WithHost(host), 0) << host;
  }
  for (const char* host : {"evil.example", "evil.example:7480", "127.0.0.1.evil.example",
                           "localhost.evil.example:7480", "10.0.0.1", "127.0.0.256", "127.0.0", "127.0.0.1.1",
                           "127.+1.0.1", "[::2]:7480", "[", "[]", ":7480", "0.0.0.0:7480"}) {
    EXPECT_EQ(WithHost(host), 403) << host;
    EXPECT_EQ(WithHost(host, /*loopback=*/false), 0) << host;
  }
  EXPECT_EQ(WithHost(std::nullopt), 400);
  EXPECT_EQ(WithHost(""), 400);
  EXPECT_EQ(WithHost(std::nullopt, /*loopback=*/false), 400);
}

TEST(HttpAccessTest, AnotherSitesRequestsAreRefused) {
  HttpAsk ask = Ask();
  for (const auto& [site, status] :
       {std::pair("none", 0), {"same-origin", 0}, {"cross-site", 403}, {"Cross-Site", 403}}) {
    ask.sec_fetch_site = site;
    EXPECT_EQ(Status(ask), status) << site;
  }
  ask.sec_fetch_site = std::nullopt;
  for (const auto& [origin, status] : {std::pair("http://127.0.0.1:7480", 0),
                                       {"https://127.0.0.1:7480", 0},
                                       {"null", 403},
                                       {"", 403},
                                       {"http://evil.example", 403},
                                       {"http://127.0.0.1:7481", 403},
                                       {"http://127.0.0.1", 403},
                                       {"ftp://127.0.0.1:7480", 403}}) {
    ask.origin = origin;
    EXPECT_EQ(Status(ask), status) << origin;
  }
}

TEST(HttpAccessTest, TokenIsAskedFor) {
  EXPECT_EQ(Status(Ask(), {.loopback = true, .token = kToken}), 401);
  EXPECT_EQ(WithAuthorization(absl::StrCat("Bearer ", kToken)), 0);
  EXPECT_EQ(WithAuthorization(absl::StrCat("bearer  ", kToken)), 0);
  EXPECT_EQ(WithAuthorization(Basic(absl::StrCat("anybody:", kToken))), 0);
  EXPECT_EQ(WithAuthorization(Basic(absl::StrCat(":", kToken))), 0);
  for (const std::string& wrong :
       {std::string(), std::string("Bearer"), std::string("Bearer "), absl::StrCat("Bearer ", kToken, "x"),
        absl::StrCat("Bearer ", std::string(kToken).substr(1)), std::string(kToken),
        absl::StrCat("Digest ", kToken), Basic(kToken), Basic(absl::StrCat(kToken, ":")),
        absl::StrCat("Basic ", kToken), std::string("Basic ====")}) {
    EXPECT_EQ(WithAuthorization(wrong), 401) << wrong;
  }
}

TEST(HttpAccessTest, WhetherSomebodyIsAliveMayBeAskedByAnybody) {
  HttpAsk ask = Ask("/healthz");
  ask.host = "10.1.2.3:7480";
  ask.sec_fetch_site = "cross-site";
  EXPECT_EQ(Status(ask, {.loopback = true, .token = kToken}), 0);
  EXPECT_EQ(Status(Ask("/healthz/"), {.loopback = true, .token = kToken}), 401);
}

}  // namespace
}  // namespace trunkload

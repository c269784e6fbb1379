#include "controller/http/http_token.h"

#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

constexpr size_t kShortest = 16;

}  // namespace

absl::StatusOr<std::string> ReadHttpToken(const std::string& file) {
  std::ifstream in(file);
  if (!in) return absl::InvalidArgumentError(absl::StrCat("--http-token-file: cannot read ", file));
  std::string token;
  std::getline(in, token);
  token = std::string(absl::StripAsciiWhitespace(token));
  if (token.size() >= kShortest) return token;
  return absl::InvalidArgumentError(absl::StrCat("--http-token-file: the first line of ", file,
                                                 " has fewer than ", kShortest,
                                                 " characters; make one with `openssl rand -hex 32`"));
}

}  // namespace trunkload

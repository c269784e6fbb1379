#include "agent/row_text.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

// Enough for a system call to be worth its while, and little enough to stay in the cache.
constexpr size_t kPieceBytes = 64 * 1024;
// More than any row has.
constexpr size_t kLongestRow = 128;

char* Append(char* to, std::string_view text) {
  std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

}  // namespace

RowText::RowText(v1::Workload workload) : workload_(workload), buffer_(kPieceBytes, '\0') {}

std::string_view RowText::CopyTarget(v1::Workload workload) {
  return workload == v1::WORKLOAD_PGBENCH ? "pgbench_accounts (aid, bid, abalance, filler)"
                                          : "users (id, name, email)";
}

void RowText::Start(const KeyRange& keys) {
  key_ = keys.first;
  last_ = keys.last;
  const std::string text = absl::StrCat(key_);
  first_digit_ = sizeof(digits_) - text.size();
  text.copy(digits_ + first_digit_, text.size());
  after_key_.clear();
}

std::string_view RowText::NextPiece() {
  char* to = buffer_.data();
  const char* const full = to + buffer_.size() - kLongestRow;
  while (key_ <= last_ && to < full) {
    to = workload_ == v1::WORKLOAD_PGBENCH ? WriteAccount(to) : WriteUser(to);
    ++key_;
    CountUp();
  }
  return {buffer_.data(), static_cast<size_t>(to - buffer_.data())};
}

char* RowText::WriteAccount(char* to) {
  const bool first_of_branch = key_ % kAccountsPerBranch == 1;
  if (first_of_branch || after_key_.empty()) {
    after_key_ = absl::StrCat("\t", (key_ - 1) / kAccountsPerBranch + 1, "\t0\t\n");
  }
  return Append(Append(to, digits()), after_key_);
}

char* RowText::WriteUser(char* to) {
  to = Append(Append(to, digits()), "\tuser ");
  to = Append(Append(to, digits()), "\tuser");
  return Append(Append(to, digits()), "@example.com\n");
}

void RowText::CountUp() {
  size_t at = sizeof(digits_) - 1;
  while (at >= first_digit_ && digits_[at] == '9') digits_[at--] = '0';
  if (at >= first_digit_) {
    ++digits_[at];
  } else {
    digits_[--first_digit_] = '1';
  }
}

}  // namespace trunkload

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/table_chunks.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// The rows of a range of keys in COPY's text format, piece by piece, in one buffer that is used again. A row
// costs some copying and no conversion: keys are counted up as text. Not thread-safe.
class RowText {
 public:
  explicit RowText(v1::Workload workload);

  // The columns of the rows, as COPY names them: "users (id, name, email)".
  static std::string_view CopyTarget(v1::Workload workload);

  // `keys`: from 1 on.
  void Start(const KeyRange& keys);
  // Whole rows, valid until the next call; empty after the last.
  std::string_view NextPiece();

 private:
  char* WriteAccount(char* to);
  char* WriteUser(char* to);
  void CountUp();
  std::string_view digits() const { return {digits_ + first_digit_, sizeof(digits_) - first_digit_}; }

  const v1::Workload workload_;
  std::string buffer_;
  uint64_t key_ = 1;
  uint64_t last_ = 0;
  // The key as text, at the end of the array.
  char digits_[20];
  size_t first_digit_ = 0;
  // What follows an account's key: its branch, its balance and its filler.
  std::string after_key_;
};

}  // namespace trunkload

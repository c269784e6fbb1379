#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace trunkload {

// An input taken as steps: a byte that says what to do, and for a message the length of it in two more, low
// byte first.
class FuzzSteps {
 public:
  FuzzSteps(const uint8_t* data, size_t size) : data_(data), left_(size) {}

  bool done() const { return left_ == 0; }
  uint8_t Byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  // An unreadable message is skipped.
  template <typename Message>
  bool Read(Message& message) {
    const size_t low = Byte();
    const size_t size = std::min(left_, low + 256 * size_t{Byte()});
    const bool read = message.ParseFromArray(data_, static_cast<int>(size));
    data_ += size;
    left_ -= size;
    return read;
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

}  // namespace trunkload

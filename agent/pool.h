#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace trunkload {

// A transaction that waits for a connection.
struct Waiting {
  int64_t intended_start;
  int64_t requested;
  uint32_t script;
  int32_t client;  // kNoClient in open load
};
inline constexpr int32_t kNoClient = -1;

// The connections of one application server, by number: which of them are idle, and who waits for one, in
// order. Nothing here allocates after construction. Not thread-safe.
class Pool {
 public:
  // `line_capacity`: the most that ever wait.
  Pool(uint32_t connections, uint32_t line_capacity)
      : line_(std::make_unique_for_overwrite<Waiting[]>(line_capacity)), capacity_(line_capacity) {
    idle_.reserve(connections);
  }

  // The connection that was given back last: its session is the warmest, as in most pools.
  std::optional<uint32_t> Take() {
    if (idle_.empty()) return std::nullopt;
    const uint32_t connection = idle_.back();
    idle_.pop_back();
    return connection;
  }
  void Give(uint32_t connection) { idle_.push_back(connection); }
  // Takes a connection that turned out to be broken while idle.
  void Forget(uint32_t connection) { std::erase(idle_, connection); }

  uint32_t waiting() const { return waiting_; }
  bool line_full() const { return waiting_ == capacity_; }
  // The line must not be full.
  void Join(const Waiting& waiting) { line_[(head_ + waiting_++) % capacity_] = waiting; }
  // The line must not be empty.
  const Waiting& First() const { return line_[head_]; }
  Waiting TakeFirst() {
    const Waiting first = line_[head_];
    head_ = (head_ + 1) % capacity_;
    --waiting_;
    return first;
  }

 private:
  std::vector<uint32_t> idle_;
  // A ring. Its memory is touched only as far as the line grows.
  std::unique_ptr<Waiting[]> line_;
  uint32_t capacity_;
  uint32_t head_ = 0;
  uint32_t waiting_ = 0;
};

}  // namespace trunkload

#pragma once

namespace trunkload {

// A flag that is set once and can be waited for together with sockets. Thread-safe.
class Cancellation {
 public:
  Cancellation();
  ~Cancellation();
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  void Cancel();
  bool cancelled() const;
  // Blocks until then.
  void Wait() const;
  // Readable once cancelled.
  int fd() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace trunkload

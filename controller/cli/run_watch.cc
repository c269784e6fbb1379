#include "controller/cli/run_watch.h"

#include <utility>

namespace trunkload {

void RunWatch::OnProgress(const v1::Progress& progress) {
  absl::MutexLock lock(&mutex_);
  progress_ = progress;
}

void RunWatch::OnRunEnded(absl::StatusOr<v1::RunResult> result) {
  absl::MutexLock lock(&mutex_);
  ended_ = std::move(result);
}

void RunWatch::AddNote(Note note) {
  absl::MutexLock lock(&mutex_);
  notes_.push_back(std::move(note));
}

bool RunWatch::HasNext() const {
  return progress_ || !notes_.empty() || ended_;
}

RunWatch::Update RunWatch::Next() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &RunWatch::HasNext));
  if (progress_) return *std::exchange(progress_, std::nullopt);
  if (!notes_.empty()) {
    Note note = std::move(notes_.front());
    notes_.pop_front();
    return note;
  }
  return *std::move(ended_);
}

}  // namespace trunkload

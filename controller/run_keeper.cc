#include "controller/run_keeper.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace trunkload {

RunKeeper::RunKeeper(std::unique_ptr<RunStore> store)
    : store_(std::move(store)), thread_([this] { Work(); }) {}

RunKeeper::~RunKeeper() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

void RunKeeper::Post(Job job) {
  absl::MutexLock lock(&mutex_);
  jobs_.push_back(std::move(job));
}

void RunKeeper::Work() {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || !jobs_.empty(); };
  while (true) {
    Job job;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&has_work));
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

void RunKeeper::Save(RunSnapshot snapshot, Done done) {
  Post([this, snapshot = std::move(snapshot), done = std::move(done)]() mutable {
    done(store_ ? store_->Save(snapshot) : absl::OkStatus());
  });
}

void RunKeeper::Finish(absl::StatusOr<v1::RunResult> result, v1::RunSummary run, Done done) {
  Post([this, result = std::move(result), run = std::move(run), done = std::move(done)]() mutable {
    if (!store_) return done(absl::OkStatus());
    if (result.ok()) return done(store_->Finish(*result));
    run.set_reason(std::string(result.status().message()));
    done(store_->Fail(std::move(run)));
  });
}

void RunKeeper::List(Answer<std::vector<v1::RunSummary>> answer) {
  Post([this, answer = std::move(answer)]() mutable {
    answer(store_ ? store_->List() : std::vector<v1::RunSummary>());
  });
}

void RunKeeper::Result(std::string run_id, Answer<v1::RunResult> answer) {
  Post([this, run_id = std::move(run_id), answer = std::move(answer)]() mutable {
    if (store_) return answer(store_->Result(run_id));
    answer(absl::NotFoundError(absl::StrCat("there is no run ", run_id, ": this controller keeps none")));
  });
}

}  // namespace trunkload

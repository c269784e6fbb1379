#include "controller/run_keeper.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace trunkload {

RunKeeper::RunKeeper(std::unique_ptr<RunStore> store) : store_(std::move(store)) {}

void RunKeeper::Save(RunSnapshot snapshot, Done done) {
  thread_.Post([this, snapshot = std::move(snapshot), done = std::move(done)]() mutable {
    done(store_ ? store_->Save(snapshot) : absl::OkStatus());
  });
}

void RunKeeper::Finish(absl::StatusOr<v1::RunResult> result, v1::RunSummary run, Done done) {
  thread_.Post([this, result = std::move(result), run = std::move(run), done = std::move(done)]() mutable {
    if (!store_) return done(absl::OkStatus());
    if (result.ok()) return done(store_->Finish(*result));
    run.set_reason(std::string(result.status().message()));
    done(store_->Fail(std::move(run)));
  });
}

void RunKeeper::PutCheckRecord(std::string run_id, v1::CheckRecord record) {
  thread_.Post([this, run_id = std::move(run_id), record = std::move(record)] {
    if (store_) store_->PutCheckRecord(run_id, record).IgnoreError();
  });
}

void RunKeeper::List(Answer<std::vector<v1::RunSummary>> answer) {
  thread_.Post([this, answer = std::move(answer)]() mutable {
    answer(store_ ? store_->List() : std::vector<v1::RunSummary>());
  });
}

void RunKeeper::Result(std::string run_id, Answer<v1::RunResult> answer) {
  thread_.Post([this, run_id = std::move(run_id), answer = std::move(answer)]() mutable {
    if (store_) return answer(store_->Result(run_id));
    answer(absl::NotFoundError(absl::StrCat("there is no run ", run_id, ": this controller keeps none")));
  });
}

}  // namespace trunkload

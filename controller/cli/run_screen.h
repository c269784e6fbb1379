#pragma once

#include <functional>
#include <string>

#include "controller/cli/plan_run.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What `trunkload run` shows. While the run goes on, on standard error: one line that changes where that is a
// terminal, else a line for each stage. At the end, the report on standard output. Not thread-safe.
class RunScreen final : public RunView {
 public:
  struct Options {
    bool quiet = false;             // only errors
    bool report_on_stderr = false;  // standard output is taken by JSON
  };

  explicit RunScreen(const Options& options);

  bool ShowProgress(const v1::Progress& progress) override;
  // A line that stays.
  void ShowNote(const std::string& text) override;
  void Finish() override { ClearLine(); }
  void ShowResult(const v1::RunResult& result);
  void ShowResult(const v1::SweepResult& result);
  // Checks that were settled by themselves.
  void ShowChecks(const v1::RunResult& result);

 private:
  void Show(const std::function<std::string(bool color)>& report);
  // Removes the changing line: before anything else is printed.
  void ClearLine();

  const Options options_;
  const bool live_;
  bool line_shown_ = false;
  std::string last_stage_;
};

}  // namespace trunkload

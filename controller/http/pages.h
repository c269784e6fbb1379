#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "controller/controller_status.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// The pages, as HTML. What they show of a run, an agent or a database is text to them, never markup.

// `runs` as the store lists them, newest first. Reloads while one is under way.
std::string RunsPage(const std::vector<v1::RunSummary>& runs, const ControllerStatus& status);
std::string ResultPage(const v1::RunResult& result);
// A run under way. Reloads.
std::string ProgressPage(const ControllerStatus& status);
// A run that has no result.
std::string NoResultPage(const v1::RunSummary& run);
std::string ErrorPage(absl::string_view title, absl::string_view sentence);

}  // namespace trunkload

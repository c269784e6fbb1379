#pragma once

#include <string>

#include "controller/controller_status.h"

namespace trunkload {

inline constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";

// The controller in Prometheus' text format. As many series whatever runs, agents and plans there are.
std::string MetricsText(const ControllerStatus& status);

}  // namespace trunkload

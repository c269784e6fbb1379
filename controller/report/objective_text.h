#pragma once

#include <string>

namespace trunkload {

// The unit that an objective's limit is written in, of which its value is a number: " ms" of "p99(response) <
// 5ms in open", "/s", or nothing.
std::string ObjectiveUnit(const std::string& objective);
// A value with that unit.
std::string ObjectiveValueText(double value, const std::string& objective);

}  // namespace trunkload

#pragma once

#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Over the recorded phases of a run; 0 where there are none.
struct RunRates {
  double transactions_per_s = 0;
  double rows_per_s = 0;
};
RunRates RatesOf(const v1::RunResult& result);

}  // namespace trunkload

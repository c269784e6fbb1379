#include "controller/run_rates.h"

namespace trunkload {

RunRates RatesOf(const v1::RunResult& result) {
  double seconds = 0;
  RunRates sums;
  for (const v1::PhaseResult& phase : result.phases()) {
    if (!phase.recorded()) continue;
    seconds += phase.duration_s();
    sums.transactions_per_s += static_cast<double>(phase.transactions());
    sums.rows_per_s += static_cast<double>(phase.rows());
  }
  if (seconds <= 0) return {};
  return {sums.transactions_per_s / seconds, sums.rows_per_s / seconds};
}

}  // namespace trunkload

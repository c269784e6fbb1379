#include "controller/pgbench/report.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/plan/plan_text.h"

namespace trunkload {
namespace {

constexpr char kSerializationFailure[] = "40001";
constexpr char kDeadlock[] = "40P01";

double Millis(double micros) {
  return micros / 1000;
}

// To three digits; of nothing it is no number, which is what pgbench prints.
std::string Percent(uint64_t part, uint64_t of, int digits = 3) {
  if (of == 0) return "NaN";
  return absl::StrFormat("%.*f", digits, 100.0 * static_cast<double>(part) / static_cast<double>(of));
}

uint64_t CountOf(const google::protobuf::Map<std::string, uint64_t>& errors, const char* code) {
  const auto found = errors.find(code);
  return found == errors.end() ? 0 : found->second;
}

// What pgbench counts, of all scripts or of one. A transaction that ended its client is no failure to it.
struct Counts {
  template <typename Result>
  Counts(const Result& result, const PgbenchOptions& options)
      : transactions(result.transactions()),
        skipped(result.skipped()),
        serialization(CountOf(result.errors(), kSerializationFailure)),
        deadlock(CountOf(result.errors(), kDeadlock)) {
    if (!options.continue_on_error) return;
    for (const auto& [code, count] : result.errors()) other += count;
    other -= serialization + deadlock;
  }

  uint64_t failed() const { return serialization + deadlock + other; }
  uint64_t all() const { return transactions + skipped + failed(); }

  uint64_t transactions;
  uint64_t skipped;
  uint64_t serialization;
  uint64_t deadlock;
  uint64_t other = 0;
};

std::string NameOf(const PgbenchScript& script) {
  switch (script.builtin) {
    case v1::BUILTIN_TPCB_LIKE:
      return "<builtin: TPC-B (sort of)>";
    case v1::BUILTIN_SIMPLE_UPDATE:
      return "<builtin: simple update>";
    case v1::BUILTIN_SELECT_ONLY:
      return "<builtin: select only>";
    default:
      return script.file;
  }
}

class Report {
 public:
  Report(const v1::RunResult& result, const PgbenchOptions& options, const PgbenchPartitions& partitions)
      : result_(result),
        phase_(result.phases(0)),
        options_(options),
        partitions_(partitions),
        counts_(phase_, options) {}

  std::string Write() && {
    Head();
    Failures(counts_, phase_, "number of");
    if (counts_.transactions + counts_.skipped > 0) {
      Latencies();
      Rates();
      Scripts();
      Percentiles();
    }
    return std::move(text_);
  }

 private:
  template <typename... Arguments>
  void Line(const absl::FormatSpec<Arguments...>& format, const Arguments&... arguments) {
    absl::StrAppendFormat(&text_, format, arguments...);
    text_ += '\n';
  }

  bool several() const { return options_.scripts.size() > 1; }

  void Head() {
    Line("transaction type: %s", several() ? "multiple scripts" : NameOf(options_.scripts[0]));
    Line("scaling factor: %s", result_.run().plan().variables().at("scale"));
    if (!partitions_.method.empty()) {
      Line("partition method: %s", partitions_.method);
      Line("partitions: %s", partitions_.count);
    }
    Line("query mode: %s", EnumText(*v1::QueryMode_descriptor()->FindValueByNumber(options_.query_mode)));
    Line("number of clients: %d", options_.clients);
    Line("number of threads: %d", options_.threads);
    // 0: until the time is over.
    if (options_.max_tries > 0) Line("maximum number of tries: %d", options_.max_tries);
    const uint64_t processed = counts_.transactions;
    if (options_.duration.has_value()) {
      Line("duration: %d s", absl::ToInt64Seconds(*options_.duration));
      Line("number of transactions actually processed: %d", processed);
    } else {
      const uint64_t planned = phase_planned();
      Line("number of transactions per client: %d", planned / options_.clients);
      Line("number of transactions actually processed: %d/%d", processed, planned);
    }
  }

  uint64_t phase_planned() const { return result_.run().plan().phases(0).transactions(); }

  template <typename Result>
  void Failures(const Counts& counts, const Result& result, const std::string& number_of) {
    const uint64_t all = counts.all();
    Line("%s failed transactions: %d (%s%%)", number_of, counts.failed(), Percent(counts.failed(), all));
    if (options_.failures_detailed) {
      Line("%s serialization failures: %d (%s%%)", number_of, counts.serialization,
           Percent(counts.serialization, all));
      Line("%s deadlock failures: %d (%s%%)", number_of, counts.deadlock, Percent(counts.deadlock, all));
      if (options_.continue_on_error) {
        Line("%s other failures: %d (%s%%)", number_of, counts.other, Percent(counts.other, all));
      }
    }
    if (options_.max_tries != 1) {
      Line("%s transactions retried: %d (%s%%)", number_of, result.retried(), Percent(result.retried(), all));
      const std::string total = number_of == "number of" ? "total number of" : " - total number of";
      Line("%s retries: %d", total, result.retries());
    }
  }

  void Latencies() {
    const bool throttled = options_.rate_per_s > 0;
    if (throttled && options_.latency_limit.has_value()) {
      Line("number of transactions skipped: %d (%s%%)", counts_.skipped,
           Percent(counts_.skipped, counts_.all()));
    }
    if (options_.latency_limit.has_value()) {
      Line("number of transactions above the %.1f ms latency limit: %d/%d (%s%%)",
           absl::ToDoubleMilliseconds(*options_.latency_limit), phase_.late(), counts_.transactions,
           counts_.transactions == 0 ? "0.000" : Percent(phase_.late(), counts_.transactions));
    }
    if (throttled || options_.progress_s > 0 || options_.latency_limit.has_value()) {
      Spread("latency", phase_.latency_us().response());
    } else {
      // What a client spent on a transaction on average, whatever came of it.
      const double clients_s = phase_.duration_s() * options_.clients;
      Line("latency average = %.3f ms%s",
           1000 * clients_s / static_cast<double>(counts_.transactions + counts_.failed()),
           counts_.failed() > 0 ? " (including failures)" : "");
    }
    if (throttled) {
      const v1::LatencySummary& lag = phase_.latency_us().send_lag();
      Line("rate limit schedule lag: avg %.3f (max %.3f) ms", Millis(lag.mean()), Millis(lag.max()));
    }
  }

  void Spread(const std::string& what, const v1::LatencySummary& latency) {
    if (latency.count() == 0) return;
    Line("%s average = %.3f ms", what, Millis(latency.mean()));
    Line("%s stddev = %.3f ms", what, Millis(latency.stddev()));
  }

  void Rates() {
    if (options_.reconnect) {
      // Getting a connection is opening it.
      Line("average connection time = %.3f ms", Millis(phase_.latency_us().pool_wait().mean()));
      Line("tps = %f (including reconnection times)", phase_.throughput_per_s());
      return;
    }
    double connecting_us = 0;
    for (const v1::AgentResult& agent : result_.agents()) {
      connecting_us = std::max(connecting_us, agent.connecting_us());
    }
    Line("initial connection time = %.3f ms", Millis(connecting_us));
    Line("tps = %f (without initial connection time)", phase_.throughput_per_s());
  }

  void Scripts() {
    if (!several()) {
      if (options_.report_per_command) Commands("", phase_.scripts(0));
      return;
    }
    uint64_t weights = 0;
    for (const PgbenchScript& script : options_.scripts) weights += script.weight;
    for (size_t i = 0; i < options_.scripts.size(); ++i) {
      Script(i, phase_.scripts(static_cast<int>(i)), weights);
    }
  }

  void Script(size_t index, const v1::ScriptResult& script, uint64_t weights) {
    const PgbenchScript& asked = options_.scripts[index];
    const Counts counts(script, options_);
    Line("SQL script %d: %s", index + 1, NameOf(asked));
    Line(" - weight: %d (targets %s%% of total)", asked.weight, Percent(asked.weight, weights, 1));
    Line(" - %d transactions (%s%% of total, tps = %f)", counts.transactions,
         Percent(counts.transactions, counts_.all(), 1),
         phase_.duration_s() > 0 ? static_cast<double>(counts.transactions) / phase_.duration_s() : 0);
    Failures(counts, script, " - number of");
    if (options_.rate_per_s > 0 && options_.latency_limit.has_value() && counts.all() > 0) {
      Line(" - number of transactions skipped: %d (%s%%)", counts.skipped,
           Percent(counts.skipped, counts.all()));
    }
    Spread(" - latency", script.latency_us().response());
    if (options_.report_per_command) Commands(" - ", script);
  }

  void Commands(const std::string& mark, const v1::ScriptResult& script) {
    const bool retries = options_.max_tries != 1;
    Line("%sstatement latencies in milliseconds%s:", mark,
         retries ? ", failures and retries" : " and failures");
    for (const v1::CommandResult& command : script.commands()) {
      const double mean = Millis(command.latency_us().mean());
      // To pgbench an error that was tried again is no failure.
      const uint64_t failures = command.failures() - command.retries();
      if (retries) {
        Line("   %11.3f  %10d  %10d  %s", mean, failures, command.retries(), command.text());
      } else {
        Line("   %11.3f  %10d  %s", mean, failures, command.text());
      }
    }
  }

  void Percentiles() {
    Line("");
    Line("%-24s%10s%10s%10s%10s%10s%10s", "percentiles in ms", "p50", "p90", "p95", "p99", "p99.9", "max");
    Percentile("latency", phase_.latency_us().response());
    if (options_.rate_per_s > 0) Percentile("schedule lag", phase_.latency_us().send_lag());
    if (options_.reconnect) Percentile("connection time", phase_.latency_us().pool_wait());
    if (!several()) return;
    for (int i = 0; i < phase_.scripts_size(); ++i) {
      Percentile(absl::StrCat("latency of script ", i + 1), phase_.scripts(i).latency_us().response());
    }
  }

  void Percentile(const std::string& what, const v1::LatencySummary& of) {
    if (of.count() == 0) return;
    Line("%-24s%10.3f%10.3f%10.3f%10.3f%10.3f%10.3f", what, Millis(of.p50()), Millis(of.p90()),
         Millis(of.p95()), Millis(of.p99()), Millis(of.p99_9()), Millis(of.max()));
  }

  const v1::RunResult& result_;
  const v1::PhaseResult& phase_;
  const PgbenchOptions& options_;
  const PgbenchPartitions& partitions_;
  const Counts counts_;
  std::string text_;
};

}  // namespace

std::string PgbenchReport(const v1::RunResult& result, const PgbenchOptions& options,
                          const PgbenchPartitions& partitions) {
  return Report(result, options, partitions).Write();
}

bool IsOfPgbench(const v1::RunResult& result, const PgbenchOptions& options) {
  const v1::Plan& plan = result.run().plan();
  return result.phases_size() == 1 && plan.phases_size() == 1 && plan.variables().contains("scale") &&
         result.phases(0).scripts_size() == static_cast<int>(options.scripts.size());
}

bool WasAborted(const v1::RunResult& result) {
  return result.phases(0).aborted_clients() > 0 ||
         std::any_of(result.agents().begin(), result.agents().end(),
                     [](const v1::AgentResult& agent) { return agent.lost(); });
}

std::string PgbenchErrors(const v1::RunResult& result, const PgbenchOptions& options) {
  const v1::PhaseResult& phase = result.phases(0);
  const std::map<std::string, uint64_t> errors(phase.errors().begin(), phase.errors().end());
  std::string lines;
  for (const auto& [code, count] : errors) {
    const bool expected = code == kSerializationFailure || code == kDeadlock || !WasAborted(result);
    if (expected && !options.verbose_errors) continue;
    const auto message = phase.error_messages().find(code);
    absl::StrAppend(&lines, count, " x ", code,
                    message == phase.error_messages().end() ? "" : absl::StrCat(": ", message->second), "\n");
  }
  return lines;
}

}  // namespace trunkload

#include "controller/pgbench/options.h"

#include <algorithm>
#include <climits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controller/pgbench/builtins.h"
#include "controller/pgbench/help.h"
#include "controller/pgbench/option_check.h"
#include "controller/pgbench/option_list.h"
#include "controller/pgbench/option_value.h"
#include "controller/plan/builtin_scripts.h"
#include "controller/plan/plan_text.h"

namespace trunkload {
namespace {

// Takes command lines apart. Of the same kind are the options that only say what to load, and those that only
// say how to run.
class OptionParser {
 public:
  absl::StatusOr<PgbenchRequest> Parse(std::span<const std::string> arguments, const char* seed) {
    if (seed != nullptr && *seed != '\0') {
      const OptionValue value("PGBENCH_RANDOM_SEED", seed);
      if (absl::Status status = value.Seed(options().seed); !status.ok()) return status;
    }
    if (std::find(arguments.begin(), arguments.end(), "-?") != arguments.end()) {
      request_.print = PgbenchHelp();
      return std::move(request_);
    }
    std::vector<std::string> copies(arguments.begin(), arguments.end());
    std::string program = "pgbench";
    std::vector<char*> argv = {program.data()};
    for (std::string& copy : copies) argv.push_back(copy.data());
    argv.push_back(nullptr);
    const auto argc = static_cast<int>(argv.size() - 1);
    // 0 makes glibc begin anew.
    optind = 0;
    opterr = 0;
    int index = -1;
    for (int found;
         !Shows() && (found = getopt_long(argc, argv.data(), kShortOptions, kLongOptions, &index)) != -1;
         index = -1) {
      if (found == '?' || found == ':') {
        const std::string what = UnknownOption(argv[optind - 1]);
        return WrongOption(found == ':' ? "no value of " : "no such option: ", what,
                           "; see `trunkload pgbench --help`");
      }
      std::string written = index >= 0 ? absl::StrCat("--", kLongOptions[index].name)
                                       : absl::StrCat("-", std::string(1, static_cast<char>(found)));
      const OptionValue value(std::move(written), optarg == nullptr ? "" : optarg);
      if (absl::Status status = Take(found, value); !status.ok()) return status;
    }
    if (Shows()) return std::move(request_);
    if (absl::Status status = TakeDatabase({argv.begin() + optind, argv.begin() + argc}); !status.ok()) {
      return status;
    }
    if (absl::Status status = CompletePgbenchOptions(written_options_, options()); !status.ok())
      return status;
    return std::move(request_);
  }

 private:
  PgbenchOptions& options() { return request_.options; }
  bool Shows() const { return !request_.print.empty() || !request_.print_on_stderr.empty(); }

  // After an error of getopt_long: the long option, or the letter, which may be one of several in an
  // argument.
  static std::string UnknownOption(const std::string& argument) {
    const std::string letter(1, static_cast<char>(optopt));
    if (optopt == 0 || optopt >= kForeignKeys) return argument;
    bool is_long = false;
    for (const option* known = kLongOptions; known->name != nullptr; ++known) {
      is_long = is_long || (known->val == optopt && absl::StartsWith(absl::StrCat("--", known->name),
                                                                     argument.substr(0, argument.find('='))));
    }
    return is_long && argument.size() > 2 && argument[1] == '-' ? argument : absl::StrCat("-", letter);
  }

  absl::Status Take(int found, const OptionValue& value) {
    if (absl::StrContains("iFIq", static_cast<char>(found)) && found < 256) return TakeInit(found, value);
    switch (found) {
      case kForeignKeys:
      case kIndexTablespace:
      case kTablespace:
      case kUnloggedTables:
      case kPartitions:
      case kPartitionMethod:
      case kLoaders:
      case kDistribution:
      case kDistributeBy:
        return TakeInit(found, value);
      case 'd':
      case 'h':
      case 'p':
      case 'U':
      case kAgents:
      case kListen:
      case kController:
      case kTls:
      case kTlsServerName:
      case kInsecure:
      case kWait:
      case kAllowShell:
        return TakeFleet(found, value);
      case 'n':
        options().no_vacuum = true;
        return absl::OkStatus();
      case 's':
        return value.Whole(1, INT_MAX, options().scale.emplace());
      case 'V':
        request_.print = "trunkload " TRUNKLOAD_VERSION "\n";
        return absl::OkStatus();
      case kHelp:
        request_.print = PgbenchHelp();
        return absl::OkStatus();
      case kDebug:
        return WrongOption(
            "--debug is not there on a fleet: --verbose-errors shows what the server said, and -l logs each "
            "transaction");
      case kShowScript: {
        const absl::StatusOr<v1::Builtin> builtin = FindBuiltin(value.text());
        if (!builtin.ok()) return builtin.status();
        request_.print_on_stderr = absl::StrCat("-- ", NameOfBuiltin(*builtin), "\n", BuiltinText(*builtin));
        return absl::OkStatus();
      }
      default:
        if (written_options_.of_run.empty()) written_options_.of_run = value.option();
        return TakeRun(found, value);
    }
  }

  absl::Status TakeInit(int found, const OptionValue& value) {
    InitializeOptions& init = options().init;
    if (found != 'i' && written_options_.of_init.empty()) written_options_.of_init = value.option();
    switch (found) {
      case 'i':
        options().initialize = true;
        return absl::OkStatus();
      case 'I':
        init.steps = value.text();
        return CheckSteps();
      case 'F':
        return value.Whole(10, 100, init.fillfactor);
      case 'q':
        options().quiet = true;
        return absl::OkStatus();
      case kForeignKeys:
        init.foreign_keys = true;
        return absl::OkStatus();
      case kUnloggedTables:
        init.unlogged_tables = true;
        return absl::OkStatus();
      case kIndexTablespace:
        init.index_tablespace = value.text();
        return absl::OkStatus();
      case kTablespace:
        init.tablespace = value.text();
        return absl::OkStatus();
      case kPartitions:
        return value.Whole(0, INT_MAX, init.partitions);
      case kPartitionMethod:
        written_options_.partition_method = true;
        return value.Choice(*v1::PartitionMethod_descriptor(), init.partition_method);
      case kDistributeBy:
        return value.Choice(*v1::DistributeBy_descriptor(), init.distribute_by);
      case kLoaders:
        return value.Whole(1, 10'000, init.loaders);
      default:
        return value.Choice(*v1::Distribution_descriptor(), init.distribution);
    }
  }

  absl::Status TakeFleet(int found, const OptionValue& value) {
    switch (found) {
      case 'd':
        options().database = value.text();
        return absl::OkStatus();
      case 'h':
        options().host = value.text();
        return absl::OkStatus();
      case 'p':
        options().port = value.text();
        return absl::OkStatus();
      case 'U':
        options().user = value.text();
        return absl::OkStatus();
      case kAgents:
        return value.Whole(1, 100'000, options().agents.emplace());
      case kListen:
        options().listen = value.text();
        return absl::OkStatus();
      case kController:
        options().controller = value.text();
        return absl::OkStatus();
      case kTls:
        options().transport.tls = value.text();
        return absl::OkStatus();
      case kTlsServerName:
        options().transport.tls_server_name = value.text();
        return absl::OkStatus();
      case kInsecure:
        options().transport.insecure = true;
        return absl::OkStatus();
      case kAllowShell:
        options().allow_shell = true;
        return absl::OkStatus();
      default: {
        const absl::StatusOr<absl::Duration> wait = ParseDuration(value.text());
        if (!wait.ok()) return WrongOption("--wait: ", wait.status().message());
        if (*wait < absl::Seconds(1) || *wait > absl::Hours(8760)) {
          return WrongOption("--wait is from 1s to 8760h, not ", value.text());
        }
        options().wait = *wait;
        return absl::OkStatus();
      }
    }
  }

  absl::Status TakeRun(int found, const OptionValue& value) {
    PgbenchOptions& run = options();
    switch (found) {
      case 'b':
        if (value.text() == "list") {
          request_.print_on_stderr = ListOfBuiltins();
          return absl::OkStatus();
        }
        return Builtin(value);
      case 'N':
        return Add({.builtin = v1::BUILTIN_SIMPLE_UPDATE});
      case 'S':
        return Add({.builtin = v1::BUILTIN_SELECT_ONLY});
      case 'f':
        return File(value);
      case 'c':
        return value.Whole(1, INT_MAX, run.clients);
      case 'C':
        run.reconnect = true;
        return absl::OkStatus();
      case 'D':
        return value.Definition(run.variables);
      case 'j':
        return value.Whole(1, INT_MAX, run.threads);
      case 'l':
        run.log = true;
        return absl::OkStatus();
      case 'M':
        return value.Choice(*v1::QueryMode_descriptor(), run.query_mode);
      case 'P':
        return value.Whole(1, INT_MAX, run.progress_s);
      case 'r':
        run.report_per_command = true;
        return absl::OkStatus();
      case 't':
        return value.Whole(1, INT_MAX, run.transactions.emplace());
      case 'v':
        run.vacuum_all = true;
        return absl::OkStatus();
      case kAggregateInterval:
        return value.Whole(1, INT_MAX, run.aggregate_interval_s);
      case kProgressTimestamp:
        run.progress_timestamp = true;
        return absl::OkStatus();
      case kLogPrefix:
        run.log_prefix = value.text();
        written_options_.log_prefix = true;
        return absl::OkStatus();
      case kRandomSeed:
        return value.Seed(run.seed);
      case kFailuresDetailed:
        run.failures_detailed = true;
        return absl::OkStatus();
      case kMaxTries:
        return value.Whole(0, INT_MAX, run.max_tries);
      case kVerboseErrors:
        run.verbose_errors = true;
        return absl::OkStatus();
      case kContinueOnError:
        run.continue_on_error = true;
        return absl::OkStatus();
      case kExitOnAbort:
        run.exit_on_abort = true;
        return absl::OkStatus();
      default:
        return TakeMeasure(found, value);
    }
  }

  // Those with a unit, or a fraction.
  absl::Status TakeMeasure(int found, const OptionValue& value) {
    PgbenchOptions& run = options();
    switch (found) {
      case 'T': {
        uint32_t seconds = 0;
        if (absl::Status status = value.Whole(1, INT_MAX, seconds); !status.ok()) return status;
        run.duration = absl::Seconds(seconds);
        return absl::OkStatus();
      }
      case 'L': {
        double milliseconds = 0;
        absl::Status status = value.Positive("a number of milliseconds", milliseconds);
        run.latency_limit = absl::Milliseconds(milliseconds);
        return status;
      }
      case 'R':
        return value.Positive("a number of transactions per second", run.rate_per_s);
      default:
        return value.Share(run.sampling_rate);
    }
  }

  absl::Status TakeDatabase(std::vector<char*> arguments) {
    if (arguments.size() > 1) {
      return WrongOption("more than one database: the last argument is one too many");
    }
    if (!arguments.empty()) options().database = arguments[0];
    return absl::OkStatus();
  }

  absl::Status Builtin(const OptionValue& value) {
    const absl::StatusOr<OptionValue::Weighted> named = value.NameAndWeight();
    if (!named.ok()) return named.status();
    const absl::StatusOr<v1::Builtin> builtin = FindBuiltin(named->name);
    if (!builtin.ok()) return builtin.status();
    return Add({.builtin = *builtin, .weight = named->weight});
  }

  absl::Status File(const OptionValue& value) {
    const absl::StatusOr<OptionValue::Weighted> named = value.NameAndWeight();
    if (!named.ok()) return named.status();
    return Add({.file = named->name, .weight = named->weight});
  }

  absl::Status Add(PgbenchScript script) {
    constexpr size_t kMostScripts = 128;
    if (options().scripts.size() == kMostScripts) return WrongOption("more than ", kMostScripts, " scripts");
    options().scripts.push_back(std::move(script));
    return absl::OkStatus();
  }

  absl::Status CheckSteps() {
    const std::string& steps = options().init.steps;
    if (steps.empty()) return WrongOption("-I names no step; it takes any of dtgGvpf");
    const size_t unknown = steps.find_first_not_of("dtgGvpf ");
    if (unknown == std::string::npos) return absl::OkStatus();
    return WrongOption("-I knows no step \"", steps.substr(unknown, 1), "\"; it takes any of dtgGvpf");
  }

  PgbenchRequest request_;
  WrittenOptions written_options_;
};

}  // namespace

absl::StatusOr<PgbenchRequest> ParsePgbenchOptions(std::span<const std::string> arguments,
                                                   const char* seed_of_environment) {
  return OptionParser().Parse(arguments, seed_of_environment);
}

}  // namespace trunkload

#include "controller/pgbench/options.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "controller/pgbench/help.h"
#include "controller/pgbench/option_check.h"
#include "controller/pgbench/option_list.h"
#include "controller/plan/builtin_scripts.h"
#include "controller/plan/plan_text.h"

namespace trunkload {
namespace {

// In the order in which they are listed.
constexpr v1::Builtin kBuiltins[] = {v1::BUILTIN_TPCB_LIKE, v1::BUILTIN_SIMPLE_UPDATE,
                                     v1::BUILTIN_SELECT_ONLY};

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

std::string NameOf(v1::Builtin builtin) {
  return EnumText(*v1::Builtin_descriptor()->FindValueByNumber(builtin));
}

std::string ListOfBuiltins() {
  std::string list = "Available builtin scripts:\n";
  for (const v1::Builtin builtin : kBuiltins) absl::StrAppend(&list, "  ", NameOf(builtin), "\n");
  return list;
}

// By its name, or the beginning of it where that is one's only.
absl::StatusOr<v1::Builtin> FindBuiltin(const std::string& name) {
  std::vector<v1::Builtin> found;
  for (const v1::Builtin builtin : kBuiltins) {
    if (NameOf(builtin) == name) return builtin;
    if (absl::StartsWith(NameOf(builtin), name)) found.push_back(builtin);
  }
  if (found.size() == 1) return found[0];
  return Wrong(
      found.empty() ? "no builtin script is called \"" : "more than one builtin script begins with \"", name,
      "\"; -b list shows them");
}

// Takes command lines apart. Of the same kind are the options that only say what to load, and those that only
// say how to run.
class OptionParser {
 public:
  absl::StatusOr<PgbenchRequest> Parse(std::span<const std::string> arguments, const char* seed) {
    if (seed != nullptr && *seed != '\0') {
      if (absl::Status status = Seed("PGBENCH_RANDOM_SEED", seed); !status.ok()) return status;
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
        const std::string what = WrongOption(argv[optind - 1]);
        return Wrong(found == ':' ? "no value of " : "no such option: ", what,
                     "; see `trunkload pgbench --help`");
      }
      written_ = index >= 0 ? absl::StrCat("--", kLongOptions[index].name)
                            : absl::StrCat("-", std::string(1, static_cast<char>(found)));
      if (absl::Status status = Take(found, optarg == nullptr ? "" : optarg); !status.ok()) return status;
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
  static std::string WrongOption(const std::string& argument) {
    const std::string letter(1, static_cast<char>(optopt));
    if (optopt == 0 || optopt >= kForeignKeys) return argument;
    bool is_long = false;
    for (const option* known = kLongOptions; known->name != nullptr; ++known) {
      is_long = is_long || (known->val == optopt && absl::StartsWith(absl::StrCat("--", known->name),
                                                                     argument.substr(0, argument.find('='))));
    }
    return is_long && argument.size() > 2 && argument[1] == '-' ? argument : absl::StrCat("-", letter);
  }

  absl::Status Take(int found, const std::string& value) {
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
      case kWait:
      case kAllowShell:
        return TakeFleet(found, value);
      case 'n':
        options().no_vacuum = true;
        return absl::OkStatus();
      case 's':
        return Whole(value, 1, INT_MAX, options().scale.emplace());
      case 'V':
        request_.print = "trunkload " TRUNKLOAD_VERSION "\n";
        return absl::OkStatus();
      case kHelp:
        request_.print = PgbenchHelp();
        return absl::OkStatus();
      case kDebug:
        return Wrong(
            "--debug is not there on a fleet: --verbose-errors shows what the server said, and -l logs each "
            "transaction");
      case kShowScript: {
        const absl::StatusOr<v1::Builtin> builtin = FindBuiltin(value);
        if (!builtin.ok()) return builtin.status();
        request_.print_on_stderr = absl::StrCat("-- ", NameOf(*builtin), "\n", BuiltinText(*builtin));
        return absl::OkStatus();
      }
      default:
        if (written_options_.of_run.empty()) written_options_.of_run = written_;
        return TakeRun(found, value);
    }
  }

  absl::Status TakeInit(int found, const std::string& value) {
    InitializeOptions& init = options().init;
    if (found != 'i' && written_options_.of_init.empty()) written_options_.of_init = written_;
    switch (found) {
      case 'i':
        options().initialize = true;
        return absl::OkStatus();
      case 'I':
        init.steps = value;
        return CheckSteps();
      case 'F':
        return Whole(value, 10, 100, init.fillfactor);
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
        init.index_tablespace = value;
        return absl::OkStatus();
      case kTablespace:
        init.tablespace = value;
        return absl::OkStatus();
      case kPartitions:
        return Whole(value, 0, INT_MAX, init.partitions);
      case kPartitionMethod:
        written_options_.partition_method = true;
        return Choice(value, *v1::PartitionMethod_descriptor(), init.partition_method);
      case kDistributeBy:
        return Choice(value, *v1::DistributeBy_descriptor(), init.distribute_by);
      case kLoaders:
        return Whole(value, 1, 10'000, init.loaders);
      default:
        return Choice(value, *v1::Distribution_descriptor(), init.distribution);
    }
  }

  absl::Status TakeFleet(int found, const std::string& value) {
    switch (found) {
      case 'd':
        options().database = value;
        return absl::OkStatus();
      case 'h':
        options().host = value;
        return absl::OkStatus();
      case 'p':
        options().port = value;
        return absl::OkStatus();
      case 'U':
        options().user = value;
        return absl::OkStatus();
      case kAgents:
        return Whole(value, 1, 100'000, options().agents.emplace());
      case kListen:
        options().listen = value;
        return absl::OkStatus();
      case kController:
        options().controller = value;
        return absl::OkStatus();
      case kAllowShell:
        options().allow_shell = true;
        return absl::OkStatus();
      default: {
        const absl::StatusOr<absl::Duration> wait = ParseDuration(value);
        if (!wait.ok()) return Wrong("--wait: ", wait.status().message());
        if (*wait < absl::Seconds(1) || *wait > absl::Hours(8760)) {
          return Wrong("--wait is from 1s to 8760h, not ", value);
        }
        options().wait = *wait;
        return absl::OkStatus();
      }
    }
  }

  absl::Status TakeRun(int found, const std::string& value) {
    PgbenchOptions& run = options();
    switch (found) {
      case 'b':
        if (value == "list") {
          request_.print_on_stderr = ListOfBuiltins();
          return absl::OkStatus();
        }
        return Builtin(value);
      case 'N':
        return Builtin("simple-update");
      case 'S':
        return Builtin("select-only");
      case 'f':
        return File(value);
      case 'c':
        return Whole(value, 1, INT_MAX, run.clients);
      case 'C':
        run.reconnect = true;
        return absl::OkStatus();
      case 'D':
        return Define(value);
      case 'j':
        return Whole(value, 1, INT_MAX, run.threads);
      case 'l':
        run.log = true;
        return absl::OkStatus();
      case 'M':
        return Choice(value, *v1::QueryMode_descriptor(), run.query_mode);
      case 'P':
        return Whole(value, 1, INT_MAX, run.progress_s);
      case 'r':
        run.report_per_command = true;
        return absl::OkStatus();
      case 't':
        return Whole(value, 1, INT_MAX, run.transactions.emplace());
      case 'v':
        run.vacuum_all = true;
        return absl::OkStatus();
      case kAggregateInterval:
        return Whole(value, 1, INT_MAX, run.aggregate_interval_s);
      case kProgressTimestamp:
        run.progress_timestamp = true;
        return absl::OkStatus();
      case kLogPrefix:
        run.log_prefix = value;
        written_options_.log_prefix = true;
        return absl::OkStatus();
      case kRandomSeed:
        return Seed(written_, value);
      case kFailuresDetailed:
        run.failures_detailed = true;
        return absl::OkStatus();
      case kMaxTries:
        return Whole(value, 0, INT_MAX, run.max_tries);
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
  absl::Status TakeMeasure(int found, const std::string& value) {
    PgbenchOptions& run = options();
    double number = 0;
    switch (found) {
      case 'T': {
        uint32_t seconds = 0;
        if (absl::Status status = Whole(value, 1, INT_MAX, seconds); !status.ok()) return status;
        run.duration = absl::Seconds(seconds);
        return absl::OkStatus();
      }
      case 'L':
        if (!absl::SimpleAtod(value, &number) || !(number > 0) || !std::isfinite(number)) {
          return Wrong("-L is a number of milliseconds above 0, not \"", value, "\"");
        }
        run.latency_limit = absl::Milliseconds(number);
        return absl::OkStatus();
      case 'R':
        if (!absl::SimpleAtod(value, &number) || !(number > 0) || !std::isfinite(number)) {
          return Wrong("-R is a number of transactions per second above 0, not \"", value, "\"");
        }
        run.rate_per_s = number;
        return absl::OkStatus();
      default:
        if (!absl::SimpleAtod(value, &number) || !(number > 0 && number <= 1)) {
          return Wrong("--sampling-rate is above 0 and at most 1, not \"", value, "\"");
        }
        run.sampling_rate = number;
        return absl::OkStatus();
    }
  }

  absl::Status TakeDatabase(std::vector<char*> arguments) {
    if (arguments.size() > 1) {
      return Wrong("more than one database: the last argument is one too many");
    }
    if (!arguments.empty()) options().database = arguments[0];
    return absl::OkStatus();
  }

  template <typename Number>
  absl::Status Whole(const std::string& value, int64_t low, int64_t high, Number& to) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(value, &number) || number < low || number > high) {
      return Wrong(written_, " is a whole number from ", low, " to ", high, ", not \"", value, "\"");
    }
    to = static_cast<Number>(number);
    return absl::OkStatus();
  }

  template <typename Enum>
  absl::Status Choice(const std::string& value, const google::protobuf::EnumDescriptor& type, Enum& to) {
    const google::protobuf::EnumValueDescriptor* found = FindEnumValue(type, value);
    if (found == nullptr) {
      return Wrong(written_, " is one of ", absl::StrJoin(EnumTexts(type), ", "), ", not \"", value, "\"");
    }
    to = static_cast<Enum>(found->number());
    return absl::OkStatus();
  }

  // Takes the weight off the end.
  absl::StatusOr<uint64_t> Weight(std::string& value) {
    const size_t at = value.rfind('@');
    if (at == std::string::npos) return 1;
    int64_t weight = 0;
    const std::string text = value.substr(at + 1);
    if (!absl::SimpleAtoi(text, &weight) || weight < 0 || weight > INT_MAX) {
      return Wrong("a script's weight is a whole number from 0 to ", INT_MAX, ", not \"", text, "\"");
    }
    value.resize(at);
    return static_cast<uint64_t>(weight);
  }

  absl::Status Builtin(std::string value) {
    const absl::StatusOr<uint64_t> weight = Weight(value);
    if (!weight.ok()) return weight.status();
    const absl::StatusOr<v1::Builtin> builtin = FindBuiltin(value);
    if (!builtin.ok()) return builtin.status();
    return Add({.builtin = *builtin, .file = {}, .weight = *weight});
  }

  absl::Status File(std::string value) {
    const absl::StatusOr<uint64_t> weight = Weight(value);
    if (!weight.ok()) return weight.status();
    return Add({.builtin = v1::BUILTIN_UNSPECIFIED, .file = value, .weight = *weight});
  }

  absl::Status Add(PgbenchScript script) {
    constexpr size_t kMostScripts = 128;
    if (options().scripts.size() == kMostScripts) return Wrong("more than ", kMostScripts, " scripts");
    options().scripts.push_back(std::move(script));
    return absl::OkStatus();
  }

  absl::Status Define(const std::string& value) {
    const size_t equals = value.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == value.size()) {
      return Wrong("-D defines a variable as NAME=VALUE, not as \"", value, "\"");
    }
    options().variables[value.substr(0, equals)] = value.substr(equals + 1);
    return absl::OkStatus();
  }

  absl::Status Seed(const std::string& from, const std::string& value) {
    uint64_t seed = 0;
    if (value == "time") {
      seed = static_cast<uint64_t>(absl::GetCurrentTimeNanos());
    } else if (value == "rand") {
      std::random_device device;
      seed = uint64_t{device()} << 32 | device();
    } else if (!absl::SimpleAtoi(value, &seed)) {
      return Wrong(from, " is \"time\", \"rand\" or a whole number, not \"", value, "\"");
    }
    options().seed = seed;
    return absl::OkStatus();
  }

  absl::Status CheckSteps() {
    const std::string& steps = options().init.steps;
    if (steps.empty()) return Wrong("-I names no step; it takes any of dtgGvpf");
    const size_t unknown = steps.find_first_not_of("dtgGvpf ");
    if (unknown == std::string::npos) return absl::OkStatus();
    return Wrong("-I knows no step \"", steps.substr(unknown, 1), "\"; it takes any of dtgGvpf");
  }

  PgbenchRequest request_;
  // The option being taken, as it was written.
  std::string written_;
  WrittenOptions written_options_;
};

}  // namespace

absl::StatusOr<PgbenchRequest> ParsePgbenchOptions(std::span<const std::string> arguments,
                                                   const char* seed_of_environment) {
  return OptionParser().Parse(arguments, seed_of_environment);
}

}  // namespace trunkload

#include "controller/plan/plan_check.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/duration.h"
#include "controller/plan/conninfo.h"
#include "controller/plan/fleet_connections.h"
#include "controller/plan/objective.h"
#include "controller/plan/plan_text.h"
#include "controller/plan/script_check.h"
#include "controller/plan/setup_check.h"

namespace trunkload {
namespace {

// One statement makes them, which is to end in minutes.
constexpr uint64_t kMostBankAccounts = 5'000'000;
constexpr size_t kLongestName = 64;
// More of these is a slip of the pen, or somebody who wants the controller's memory.
constexpr int kMostPhases = 1000;
constexpr int kMostScripts = 1000;
constexpr int kMostStages = 10'000;
constexpr int kMostObjectives = 1000;
constexpr int kMostFaults = 1000;
constexpr uint64_t kMostConnections = 10'000'000;
constexpr uint64_t kMostShares = 10'000'000;
// What a terminal shows at once.
constexpr size_t kMostSentences = 20;
constexpr absl::Duration kLongestRun = absl::Hours(8760);

absl::Duration TotalOf(const google::protobuf::RepeatedPtrField<v1::Stage>& stages) {
  absl::Duration total;
  for (const v1::Stage& stage : stages) total += FromProto(stage.duration());
  return total;
}

// The area below the rate.
double ArrivalsOf(const google::protobuf::RepeatedPtrField<v1::Stage>& stages) {
  double arrivals = 0;
  double rate_before = 0;
  for (const v1::Stage& stage : stages) {
    const double seconds = absl::ToDoubleSeconds(FromProto(stage.duration()));
    const double begin = stage.has_ramp_to() ? rate_before : stage.rate();
    const double end = stage.has_ramp_to() ? stage.ramp_to() : stage.rate();
    arrivals += seconds * (begin + end) / 2;
    rate_before = end;
  }
  return arrivals;
}

// It makes and loads tables, and no more.
bool OnlySetsUp(const v1::Plan& plan) {
  return plan.has_setup() && plan.scripts().empty() && plan.phases().empty();
}

// What no field can tell by itself. Reads a plan whose fields keep their rules.
class PlanCheck {
 public:
  explicit PlanCheck(const v1::Plan& plan) : plan_(plan) {}

  std::vector<PlanMistake> Run() && {
    Name("name", plan_.name());
    Target();
    Sweep();
    Setup();
    if (OnlySetsUp(plan_)) return std::move(mistakes_);
    Fleet();
    Scripts();
    Phases();
    Objectives();
    Checks();
    Faults();
    return std::move(mistakes_);
  }

 private:
  template <typename... Parts>
  void Wrong(const std::string& field, const Parts&... what) {
    mistakes_.push_back({field, absl::StrCat(what...)});
  }

  void Name(const std::string& field, const std::string& name) {
    bool plain = name.size() <= kLongestName;
    for (const char c : name) plain = plain && (absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.');
    if (!plain) {
      Wrong(field, QuotedText(name), " is not a name; expected letters, digits, '-', '_' and '.', at most ",
            kLongestName);
    }
  }

  void Target() {
    if (const absl::Status status = CheckConninfo(plan_.target().conninfo()); !status.ok()) {
      Wrong("target.conninfo", std::string(status.message()));
    }
    if (plan_.target().load_balance_hosts() == v1::LOAD_BALANCE_HOSTS_ROUND_ROBIN &&
        !plan_.target().service().empty()) {
      Wrong("target.load_balance_hosts",
            "hosts of a service are not known here; expected them in target.conninfo");
    }
    if (absl::StrContains(plan_.target().service(), '\0')) {
      Wrong("target.service",
            "holds a NUL character; expected the name of a service in libpq's service file");
    } else if (absl::StrContains(plan_.target().service(), '=') ||
               absl::StrContains(plan_.target().service(), "://")) {
      Wrong("target.service",
            "looks like a connection string; expected the name of a service in libpq's service file, or the "
            "connection string in target.conninfo");
    }
  }

  // Its values stand in every report.
  void Sweep() {
    for (const auto& [name, values] : plan_.sweep()) {
      if (name != "target" && !absl::StartsWith(name, "target.")) continue;
      for (const std::string& value : values.values()) {
        if (!SecretsOf(value).any() && (CheckConninfo(value).ok() || !MayHoldPassword(value))) continue;
        Wrong(
            "sweep.target",
            "a value looks as though it held a password, and values are shown; expected that in the password "
            "file (~/.pgpass) or a service file");
        return;
      }
    }
  }

  void Setup() {
    const v1::Setup& setup = plan_.setup();
    if (!plan_.has_setup()) return;
    for (PlanMistake& mistake : CheckSetup(setup)) mistakes_.push_back(std::move(mistake));
  }

  void Fleet() {
    const v1::Fleet& fleet = plan_.fleet();
    const uint64_t servers = fleet.application_servers();
    if (fleet.has_connections() && fleet.connections() < servers) {
      Wrong("fleet.connections", "fewer than the ", servers,
            " application servers, each of which needs one; expected at least as many");
    } else if (FleetConnections(fleet) > kMostConnections) {
      Wrong("fleet", servers, " application servers with ", plan_.fleet().pool().size(),
            " connections each are more than the ", kMostConnections, " connections that a run may have");
    }
    if (servers * static_cast<uint64_t>(plan_.phases_size()) > kMostShares) {
      Wrong("fleet.application_servers", "too many for ", plan_.phases_size(), " phases; expected at most ",
            kMostShares / static_cast<uint64_t>(plan_.phases_size()));
    }
  }

  void Scripts() {
    if (plan_.scripts_size() > kMostScripts) {
      Wrong("scripts", plan_.scripts_size(), " scripts; expected at most ", kMostScripts);
      return;
    }
    for (PlanMistake& mistake : CheckScripts(plan_)) mistakes_.push_back(std::move(mistake));
    for (const v1::Script& script : plan_.scripts()) {
      if (script.weight() > 0) return;
    }
    Wrong("scripts",
          "all weights are 0, so that no script would ever run; expected at least one weight above 0");
  }

  void Phases() {
    if (plan_.phases_size() > kMostPhases) {
      Wrong("phases", plan_.phases_size(), " phases; expected at most ", kMostPhases);
    }
    bool recorded = false;
    absl::Duration total;
    std::map<std::string, int> first_with;
    for (int i = 0; i < plan_.phases_size(); ++i) {
      const v1::Phase& phase = plan_.phases(i);
      const std::string field = absl::StrCat("phases.", i);
      Name(FieldPath(field, "name"), phase.name());
      const auto [first, is_new] = first_with.emplace(phase.name(), i);
      if (!is_new) {
        Wrong(FieldPath(field, "name"), QuotedText(phase.name()), " is the name of phases.", first->second,
              " too; expected another");
      }
      recorded = recorded || phase.record();
      total += FromProto(phase.duration());
      Phase(phase, field);
    }
    if (!recorded) {
      Wrong("phases",
            "every phase has record: false, so that there would be no result; expected one phase that is "
            "recorded");
    }
    if (total > kLongestRun) {
      Wrong("phases", "all phases together take ", DurationText(total), "; expected at most ",
            DurationText(kLongestRun));
    }
  }

  void Phase(const v1::Phase& phase, const std::string& field) {
    if (phase.observed() && !plan_.observer().enabled()) {
      Wrong(FieldPath(field, "observed"), "the plan has observer.enabled: false; expected true there");
    }
    if (phase.load().has_search()) return SearchLoad(phase, field);
    if (phase.has_transactions() && phase.load().open().stages_size() > 0) {
      Wrong(FieldPath(field, "transactions"),
            "the stages of a phase end it by time; expected no transactions, or a rate in place of stages");
    } else if (phase.has_duration() && phase.has_transactions()) {
      Wrong(FieldPath(field, "transactions"),
            "the phase has a duration, too; expected either a duration or a number of transactions");
    } else if (!phase.has_duration() && !phase.has_transactions()) {
      Wrong(
          field,
          "nothing ends this phase; expected a duration (such as duration: 30s) or a number of transactions");
    }
    switch (phase.load().kind_case()) {
      case v1::Load::kClosed:
        ClosedLoad(phase, FieldPath(field, "load.closed"));
        break;
      case v1::Load::kOpen:
        OpenLoad(phase, FieldPath(field, "load.open"));
        break;
      case v1::Load::kSearch:
        break;
      case v1::Load::KIND_NOT_SET:
        Wrong(FieldPath(field, "load"), "no kind of load; expected closed, open or search");
        break;
    }
  }

  void SearchLoad(const v1::Phase& phase, const std::string& field) {
    for (const auto& [name, there] :
         {std::pair("duration", phase.has_duration()), {"transactions", phase.has_transactions()}}) {
      if (there) Wrong(FieldPath(field, name), "a search takes as long as it needs; expected none");
    }
    if (!phase.record()) Wrong(FieldPath(field, "record"), "a search is no warm-up; expected true");
    const std::string objective = FieldPath(field, "load.search.objective");
    const absl::StatusOr<Objective> parsed = Objective::Parse(phase.load().search().objective());
    if (!parsed.ok()) {
      Wrong(objective, std::string(parsed.status().message()));
    } else if (!parsed->phase().empty()) {
      Wrong(objective, "names a phase; expected an objective of each step, without `in`");
    }
  }

  void ClosedLoad(const v1::Phase& phase, const std::string& field) {
    // Clients and connections are dealt out alike: where there are no more clients in all, no application
    // server has more of them.
    const uint64_t connections = FleetConnections(plan_.fleet());
    if (plan_.fleet().pool().mode() == v1::POOL_MODE_SESSION &&
        phase.load().closed().clients() > connections) {
      Wrong(FieldPath(field, "clients"), "in pool mode session each client keeps a connection, and ",
            phase.load().closed().clients(), " clients are more than the ", connections,
            " connections of all application servers; expected fewer clients, more connections or pool mode "
            "transaction");
    }
  }

  void OpenLoad(const v1::Phase& phase, const std::string& field) {
    const v1::OpenLoad& open = phase.load().open();
    if (open.has_rate() == (open.stages_size() > 0)) {
      Wrong(field, open.has_rate() ? "both a rate and stages" : "neither a rate nor stages",
            "; expected one of them, such as rate: 2000/s");
      return;
    }
    if (open.has_rate()) {
      ConstantRate(phase, FieldPath(field, "rate"));
    } else {
      Stages(phase, FieldPath(field, "stages"));
    }
  }

  void ConstantRate(const v1::Phase& phase, const std::string& field) {
    const double rate = phase.load().open().rate();
    if (phase.has_duration()) {
      if (rate * absl::ToDoubleSeconds(FromProto(phase.duration())) < 1) {
        Wrong(field, "too low for anything to come due in ", DurationText(FromProto(phase.duration())),
              "; expected a higher rate or a longer phase");
      }
    } else if (static_cast<double>(phase.transactions()) / rate > absl::ToDoubleSeconds(kLongestRun)) {
      Wrong(field, "too low: ", phase.transactions(), " transactions would take longer than ",
            DurationText(kLongestRun), "; expected a higher rate or fewer transactions");
    }
  }

  void Stages(const v1::Phase& phase, const std::string& field) {
    const auto& stages = phase.load().open().stages();
    if (stages.size() > kMostStages) Wrong(field, stages.size(), " stages; expected at most ", kMostStages);
    bool whole = true;
    for (int i = 0; i < stages.size(); ++i) {
      if (stages[i].has_rate() != stages[i].has_ramp_to()) continue;
      whole = false;
      Wrong(FieldPath(field, absl::StrCat(i)),
            stages[i].has_rate() ? "both a rate and ramp_to" : "neither a rate nor ramp_to",
            "; expected one of them");
    }
    if (!whole) return;
    if (phase.has_duration() && FromProto(phase.duration()) != TotalOf(stages)) {
      Wrong(field, "the stages take ", DurationText(TotalOf(stages)), " and the phase ",
            DurationText(FromProto(phase.duration())), "; expected the same, or no duration of the phase");
    } else if (ArrivalsOf(stages) < 1) {
      Wrong(field, "the rates are too low for anything to come due; expected higher ones or longer stages");
    }
  }

  void Objectives() {
    if (plan_.objectives_size() > kMostObjectives) {
      Wrong("objectives", plan_.objectives_size(), " objectives; expected at most ", kMostObjectives);
    }
    for (int i = 0; i < plan_.objectives_size(); ++i) {
      const std::string field = absl::StrCat("objectives.", i);
      const absl::StatusOr<Objective> objective = Objective::Parse(plan_.objectives(i));
      if (!objective.ok()) {
        Wrong(field, std::string(objective.status().message()));
      } else if (!objective->phase().empty()) {
        JudgedPhase(field, objective->phase());
      }
    }
  }

  void Checks() {
    std::set<int> before;
    for (int i = 0; i < plan_.checks_size(); ++i) {
      if (!before.insert(plan_.checks(i)).second)
        Wrong(absl::StrCat("checks.", i), "written twice; expected each check once");
    }
    const v1::CheckOptions& options = plan_.check_options();
    if (uint64_t{options.branches()} * options.accounts() > kMostBankAccounts) {
      Wrong("check_options", options.branches(), " branches of ", options.accounts(),
            " accounts; expected at most ", kMostBankAccounts, " accounts in all");
    }
  }

  void Faults() {
    if (plan_.faults_size() > kMostFaults)
      Wrong("faults", plan_.faults_size(), " faults; expected at most ", kMostFaults);
    for (int i = 0; i < plan_.faults_size(); ++i) {
      const v1::Fault& fault = plan_.faults(i);
      const std::string field = absl::StrCat("faults.", i);
      if (fault.action_case() == v1::Fault::ACTION_NOT_SET)
        Wrong(field, "nothing is broken; expected one of terminate, stop, kill, pause, cut_off and command");
      const auto phase = std::find_if(plan_.phases().begin(), plan_.phases().end(),
                                      [&fault](const v1::Phase& one) { return one.name() == fault.phase(); });
      if (phase == plan_.phases().end()) {
        Wrong(FieldPath(field, "phase"), "there is no phase ", QuotedText(fault.phase()),
              "; expected a phase's name");
      } else if (phase->load().has_search()) {
        Wrong(FieldPath(field, "phase"), "phase ", phase->name(),
              " is a search, of which no step's time is known; expected a phase with another load");
      } else if (phase->has_duration() && FromProto(fault.at()) >= FromProto(phase->duration())) {
        Wrong(FieldPath(field, "at"), "phase ", phase->name(), " is over by then; expected less than ",
              DurationText(FromProto(phase->duration())));
      }
    }
  }

  void JudgedPhase(const std::string& field, const std::string& name) {
    std::vector<std::string> recorded;
    for (const v1::Phase& phase : plan_.phases()) {
      if (phase.name() == name && !phase.record()) {
        Wrong(field, "phase ", QuotedText(name),
              " is not recorded; expected a phase that is, or record: true there");
        return;
      }
      if (phase.name() == name) return;
      if (phase.record()) recorded.push_back(phase.name());
    }
    Wrong(field, "there is no phase ", QuotedText(name), "; expected a recorded one (",
          absl::StrJoin(recorded, ", "), ")", DidYouMean(name, recorded));
  }

  const v1::Plan& plan_;
  std::vector<PlanMistake> mistakes_;
};

void NamePhasesOfFaults(v1::Plan& plan) {
  for (v1::Fault& fault : *plan.mutable_faults()) {
    for (const v1::Phase& phase : plan.phases()) {
      if (fault.phase().empty() && phase.record()) fault.set_phase(phase.name());
    }
  }
}

// A phase lasts as long as its stages, where it doesn't say so itself.
void FillDurations(v1::Plan& plan) {
  for (v1::Phase& phase : *plan.mutable_phases()) {
    if (phase.has_duration() || phase.has_transactions() || phase.load().open().stages_size() == 0) continue;
    *phase.mutable_duration() = ToProto(TotalOf(phase.load().open().stages()));
  }
}

}  // namespace

std::vector<PlanMistake> CompleteAndCheck(v1::Plan& plan) {
  std::vector<PlanMistake> mistakes = CheckWrittenScripts(plan);
  AddScriptsOfChecks(plan);
  FillDefaults(plan);
  CheckRules(plan, "", mistakes);
  if (OnlySetsUp(plan)) {
    std::erase_if(mistakes, [](const PlanMistake& mistake) {
      return mistake.field == "scripts" || mistake.field == "phases";
    });
  }
  if (!mistakes.empty()) return mistakes;
  FillDurations(plan);
  CompleteScripts(plan);
  NamePhasesOfFaults(plan);
  return PlanCheck(plan).Run();
}

absl::StatusOr<v1::Plan> ValidatePlan(v1::Plan plan) {
  std::vector<std::string> sentences;
  for (const PlanMistake& mistake : CompleteAndCheck(plan)) {
    sentences.push_back(mistake.Sentence());
  }
  if (!sentences.empty()) return InvalidPlan(std::move(sentences));
  return plan;
}

absl::Status InvalidPlan(std::vector<std::string> sentences) {
  const size_t all = sentences.size();
  if (all > kMostSentences) {
    sentences.resize(kMostSentences);
    sentences.push_back(absl::StrCat("and ", all - kMostSentences, " more mistakes"));
  }
  return absl::InvalidArgumentError(absl::StrJoin(sentences, "\n"));
}

absl::Status CheckHoldsNoPassword(const v1::Plan& plan) {
  if (!SecretsOf(plan.target().conninfo()).any()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "the target holds a password, which goes to no other machine: take it out, and put it into the "
      "password "
      "file (~/.pgpass), PGPASSWORD or a service file, on each agent and on the controller");
}

v1::Plan Redacted(v1::Plan plan) {
  Redact(plan);
  return plan;
}

}  // namespace trunkload

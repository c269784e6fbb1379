#include "controller/report/plan_summary.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "controller/plan/builtin_scripts.h"
#include "controller/plan/fault_text.h"
#include "controller/plan/plan_check.h"
#include "controller/plan/plan_text.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

constexpr int kLabelWidth = 12;

template <typename Enum>
std::string Written(const google::protobuf::EnumDescriptor* type, Enum value) {
  const google::protobuf::EnumValueDescriptor* found = type->FindValueByNumber(value);
  return found == nullptr ? absl::StrCat(static_cast<int>(value)) : EnumText(*found);
}

std::string Written(const google::protobuf::Duration& duration) {
  return DurationText(absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos()));
}

std::string Counted(uint64_t count, const std::string& one) {
  return absl::StrCat(CountText(count), " ", one, count == 1 ? "" : "s");
}

std::string StageText(const v1::Stage& stage) {
  return absl::StrCat(stage.has_ramp_to() ? "ramp to " : "",
                      RateText(stage.has_ramp_to() ? stage.ramp_to() : stage.rate()), "/s for ",
                      Written(stage.duration()));
}

std::string LoadText(const v1::Load& load) {
  if (load.has_search()) {
    return absl::StrCat("steps from ", RateText(load.search().from()), "/s ",
                        Written(v1::Arrivals_descriptor(), load.search().arrivals()),
                        ", to the highest rate with ", load.search().objective());
  }
  if (load.has_closed()) {
    std::string text = Counted(load.closed().clients(), "client");
    const std::string think_time = Written(load.closed().think_time());
    return think_time == "0s" ? text : absl::StrCat(text, ", think time ", think_time);
  }
  const std::string arrivals = Written(v1::Arrivals_descriptor(), load.open().arrivals());
  if (load.open().stages_size() == 0) return absl::StrCat(RateText(load.open().rate()), "/s ", arrivals);
  std::vector<std::string> stages;
  for (const v1::Stage& stage : load.open().stages()) stages.push_back(StageText(stage));
  return absl::StrCat(arrivals, ": ", absl::StrJoin(stages, ", "));
}

std::string LengthText(const v1::Phase& phase) {
  if (phase.load().has_search())
    return absl::StrCat("steps of ", Written(phase.load().search().step()), " or longer");
  return phase.has_transactions() ? Counted(phase.transactions(), "transaction") : Written(phase.duration());
}

std::string ScriptText(const v1::Script& script, uint64_t weights) {
  std::string text = script.name();
  if (const auto batch = script.variables().find("batch");
      IsInsert(script.builtin()) && batch != script.variables().end())
    absl::StrAppend(&text, " of ", batch->second, batch->second == "1" ? " row" : " rows");
  absl::StrAppend(&text, ", ", ShareText(weights == 0 ? 0 : static_cast<double>(script.weight()) / weights));
  if (IsInsert(script.builtin())) {
    return absl::StrCat(text, ", keys ",
                        Written(v1::KeyDistribution_descriptor(), script.keys().distribution()));
  }
  absl::StrAppend(&text, ", ", Written(v1::QueryMode_descriptor(), script.query_mode()));
  if (script.max_tries() == 0) return absl::StrCat(text, ", tried until it succeeds");
  return script.max_tries() == 1 ? text : absl::StrCat(text, ", ", script.max_tries(), " tries");
}

std::string FleetText(const v1::Fleet& fleet) {
  const v1::Pool& pool = fleet.pool();
  const std::string servers = Counted(fleet.application_servers(), "application server");
  const std::string mode = absl::StrCat(Written(v1::PoolMode_descriptor(), pool.mode()), " mode");
  if (fleet.has_connections())
    return absl::StrCat(servers, ", ", mode, ": ", Counted(fleet.connections(), "connection"),
                        ", spread evenly");
  return absl::StrCat(servers, ", pool of ", Counted(pool.size(), "connection"), " each, ", mode, ": ",
                      Counted(uint64_t{fleet.application_servers()} * pool.size(), "connection"));
}

std::string FaultSummary(const v1::Fault& fault) {
  std::string text = absl::StrCat(FaultText(fault), ", at ", Written(fault.at()), " of ", fault.phase());
  if (fault.has_command()) return absl::StrCat(text, ", until it ends");
  return fault.has_terminate() ? text : absl::StrCat(text, ", for ", Written(fault.lasts()));
}

}  // namespace

std::string PlanSummary(const v1::Plan& given) {
  const v1::Plan plan = Redacted(given);
  std::string text;
  std::string label;
  const auto line = [&text, &label](const std::string& next, const std::string& what) {
    absl::StrAppendFormat(&text, "%-*s%s\n", kLabelWidth, next == label ? "" : next, what);
    label = next;
  };
  line("plan", plan.name());
  line("target",
       plan.target().service().empty()
           ? plan.target().conninfo().empty() ? "from libpq's environment" : plan.target().conninfo()
           : absl::StrCat("service ", plan.target().service()));
  if (plan.target().isolation() != v1::ISOLATION_SERVER)
    line("target",
         absl::StrCat("transactions ", Written(v1::Isolation_descriptor(), plan.target().isolation())));
  if (plan.has_setup()) {
    line("setup", absl::StrCat(Written(v1::Workload_descriptor(), plan.setup().workload()), ", distribution ",
                               Written(v1::Distribution_descriptor(), plan.setup().distribution()), ", ",
                               Counted(plan.setup().rows(), "row"), " loaded"));
  } else {
    line("setup", "none: the tables are there already");
  }
  line("fleet", FleetText(plan.fleet()));
  uint64_t weights = 0;
  for (const v1::Script& script : plan.scripts()) weights += script.weight();
  for (const v1::Script& script : plan.scripts()) line("scripts", ScriptText(script, weights));
  for (const v1::Phase& phase : plan.phases()) {
    line("phases", absl::StrCat(phase.name(), ", ", LengthText(phase), ", ", LoadText(phase.load()),
                                phase.record() ? "" : " (warm-up, not judged)"));
  }
  for (const v1::Fault& fault : plan.faults()) line("faults", FaultSummary(fault));
  for (const std::string& objective : plan.objectives()) line("objectives", objective);
  const std::map<std::string, v1::SweepValues> sweep(plan.sweep().begin(), plan.sweep().end());
  size_t cells = 1;
  for (const auto& [name, values] : sweep) {
    line("sweep", absl::StrCat(name, ": ", absl::StrJoin(values.values(), ", ")));
    cells *= static_cast<size_t>(values.values_size());
  }
  if (!sweep.empty()) line("sweep", absl::StrCat(Counted(cells, "cell"), ", each a run of its own"));
  return text;
}

std::string AssignmentSummary(const std::vector<v1::Assignment>& assignments) {
  std::string text = absl::StrCat("With ", Counted(assignments.size(), "agent"), ":\n");
  for (size_t i = 0; i < assignments.size(); ++i) {
    const v1::Assignment& assignment = assignments[i];
    const int servers = assignment.application_servers_size();
    uint64_t connections = 0;
    for (const v1::ApplicationServer& server : assignment.application_servers())
      connections += server.connections();
    absl::StrAppendFormat(&text, "  agent %d: %s, %s, %s\n", i + 1, Counted(servers, "application server"),
                          Counted(connections, "connection"),
                          Counted(std::min<uint64_t>(assignment.threads(), servers), "thread"));
    std::vector<std::string> parts;
    for (int p = 0; p < assignment.phases_size(); ++p) {
      const v1::Phase& phase = assignment.phases(p);
      uint64_t clients = 0, transactions = 0;
      for (const v1::ApplicationServer& server : assignment.application_servers()) {
        if (p >= server.shares_size()) continue;
        clients += server.shares(p).clients();
        transactions += server.shares(p).transactions();
      }
      std::string part = phase.name();
      if (phase.load().has_closed()) {
        absl::StrAppend(&part, " ", Counted(clients, "client"));
      } else {
        absl::StrAppend(&part, " ", servers, " of every ", assignment.fleet_application_servers(),
                        " arrivals");
      }
      if (phase.has_transactions()) absl::StrAppend(&part, ", ", Counted(transactions, "transaction"));
      parts.push_back(part);
    }
    absl::StrAppend(&text, "    ", absl::StrJoin(parts, "; "), "\n");
  }
  return text;
}

}  // namespace trunkload

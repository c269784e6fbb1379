#include "controller/faults/damage.h"

#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "controller/faults/listeners.h"
#include "controller/faults/node_process.h"
#include "controller/stack/command.h"

namespace trunkload {
namespace {

constexpr char kTimeoutSeconds[] = "60";
constexpr char kLockSeconds[] = "10";

std::string ForShell(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", R"('\'')"}}), "'");
}

std::string CommandLine(const std::vector<std::string>& words) {
  return absl::StrJoin(words, " ",
                       [](std::string* out, const std::string& word) { out->append(ForShell(word)); });
}

std::vector<std::string> PgCtl(const NodeProcess& node, const std::string& what) {
  return {node.Program("pg_ctl"), what, "-D", node.directory(), "-s", "-w", "-t", kTimeoutSeconds};
}

// As it was started before, unless it runs.
std::string StartScript(const NodeProcess& node) {
  std::vector<std::string> as_user;
  if (!node.user().empty()) {
    as_user = {"setpriv", absl::StrCat("--reuid=", node.user()), absl::StrCat("--regid=", node.user()),
               "--init-groups", "--"};
  }
  std::vector<std::string> start = as_user;
  for (std::string& word : PgCtl(node, "start")) start.push_back(std::move(word));
  // pg_ctl hands the options to a shell.
  start.insert(start.end(), {"-l", node.log(), "-o", CommandLine(node.options())});
  std::vector<std::string> status = as_user;
  status.insert(status.end(), {node.Program("pg_ctl"), "status", "-D", node.directory()});
  const std::string failed = absl::StrCat("pg_ctl could not start it: its log ", node.log(), " says why");
  return absl::StrCat(CommandLine(status), " >/dev/null || ", CommandLine(start), " || { echo ",
                      ForShell(failed), "; false; }");
}

// Its children are those of the kernel's at that time; a postmaster of its number that started later is
// another.
std::string WakeScript(const ProcessId& postmaster) {
  return absl::StrCat(R"sh(look() {
  { read -r line < "/proc/$1/stat"; } 2>/dev/null || return 1
  set -- ${line##*) }
  parent=$2
  started=${20}
}
look )sh",
                      postmaster.pid, R"sh( && [ "$started" = )sh", postmaster.started, R"sh( ] || exit 0
for process in /proc/[0-9]*; do
  pid=${process#/proc/}
  look "$pid" && [ "$parent" = )sh",
                      postmaster.pid, R"sh( ] && kill -CONT "$pid"
done
kill -CONT )sh",
                      postmaster.pid);
}

absl::StatusOr<Damage> PlanStop(NodeProcess node) {
  if (access(node.Program("pg_ctl").c_str(), X_OK) != 0)
    return absl::FailedPreconditionError(
        absl::StrCat("there is no ", node.Program("pg_ctl"), " to start it again with"));
  Damage damage;
  damage.repair = StartScript(node);
  damage.inflict = [node = std::move(node)] {
    std::vector<std::string> stop = PgCtl(node, "stop");
    stop.insert(stop.end(), {"-m", "fast"});
    if (RunCommand(stop, node.user()).ok()) return absl::OkStatus();
    // Sessions that do not end keep it up.
    stop.back() = "immediate";
    return RunCommand(stop, node.user()).status();
  };
  return damage;
}

absl::StatusOr<Damage> PlanKill(NodeProcess node) {
  absl::StatusOr<Damage> damage = PlanStop(node);
  if (!damage.ok()) return damage;
  // It is held still first, and would stay so where it was not killed after that.
  damage->repair = absl::StrCat("( ", WakeScript(node.postmaster()), " )\n", damage->repair);
  damage->inflict = [node = std::move(node)]() mutable { return node.Kill(); };
  return damage;
}

Damage PlanPause(NodeProcess node) {
  Damage damage;
  damage.repair = WakeScript(node.postmaster());
  damage.inflict = [node = std::move(node)]() mutable { return node.Pause(); };
  return damage;
}

absl::StatusOr<Damage> PlanCutOff(const std::string& address, const std::string& mark) {
  if (geteuid() != 0)
    return absl::FailedPreconditionError("only root may cut a node off: run the controller as root");
  if (absl::StartsWith(address, "/"))
    return absl::FailedPreconditionError(
        absl::StrCat(address, " is a socket's directory, which no rule cuts off"));
  const absl::StatusOr<Listeners> listeners = FindListeners(address);
  if (!listeners.ok()) return listeners.status();
  std::vector<std::string> tools;
  if (listeners->ipv4) tools.push_back("iptables");
  if (listeners->ipv6) tools.push_back("ip6tables");
  const std::string port = address.substr(address.rfind(':') + 1);
  std::vector<std::vector<std::string>> inserts;
  std::vector<std::string> repairs;
  for (const std::string& tool : tools) {
    const absl::StatusOr<std::string> usable = RunCommand({tool, "-w", kLockSeconds, "-S", "INPUT"});
    if (!usable.ok()) return absl::FailedPreconditionError(usable.status().message());
    for (const auto& [chain, end] : {std::pair("INPUT", "--dport"), std::pair("OUTPUT", "--sport")}) {
      const auto rule = [&, chain = chain, end = end](const std::string& what) {
        return std::vector<std::string>{tool, "-w", kLockSeconds, what,        chain, "-p", "tcp", end,
                                        port, "-m", "comment",    "--comment", mark,  "-j", "DROP"};
      };
      // Before those that let it through.
      inserts.push_back(rule("-I"));
      repairs.push_back(absl::StrCat("if ", CommandLine(rule("-C")), " 2>/dev/null; then ",
                                     CommandLine(rule("-D")), " || failed=1; fi"));
    }
  }
  repairs.push_back("[ -z \"$failed\" ]");
  Damage damage;
  damage.repair = absl::StrCat("failed=\n", absl::StrJoin(repairs, "\n"));
  damage.inflict = [inserts = std::move(inserts)] {
    for (const std::vector<std::string>& insert : inserts) {
      if (absl::Status status = RunCommand(insert).status(); !status.ok()) return status;
    }
    return absl::OkStatus();
  };
  return damage;
}

}  // namespace

absl::StatusOr<Damage> PlanDamage(const v1::Fault& fault, const std::string& address,
                                  const std::string& mark) {
  if (fault.has_cut_off()) return PlanCutOff(address, mark);
  absl::StatusOr<NodeProcess> node = NodeProcess::Find(address);
  if (!node.ok()) return node.status();
  switch (fault.action_case()) {
    case v1::Fault::kStop:
      return PlanStop(*std::move(node));
    case v1::Fault::kKill:
      return PlanKill(*std::move(node));
    case v1::Fault::kPause:
      return PlanPause(*std::move(node));
    default:
      return absl::FailedPreconditionError("no node is broken by it");
  }
}

}  // namespace trunkload

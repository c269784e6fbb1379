#include "controller/verdict.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/agent_strain.h"

namespace trunkload {
namespace {

// Of the time, for which a quota may keep an agent from running.
constexpr double kMostThrottled = 0.01;
// Of its processors, that a hypervisor may keep from an agent's machine without a word.
constexpr double kMuchStolen = 0.05;
// Of what came due: with less done than this, the load was more than the database or its pools could take.
constexpr double kKeptUp = 0.95;
// Phases are judged over seconds: agents that begin further apart than this don't load the database together.
constexpr double kMostStartSkewMicros = 100'000;

using Figure = std::function<double(const RunFacts::Agent&)>;
using Sentence = std::function<std::string(const RunFacts::Agent&)>;

// Empty where there is none above `limit`.
std::string DescribeWorst(const RunFacts::Phase& phase, double limit, const Figure& figure,
                          const Sentence& sentence) {
  const RunFacts::Agent* worst = nullptr;
  int above = 0;
  for (const RunFacts::Agent& agent : phase.agents) {
    if (!(figure(agent) > limit)) continue;
    ++above;
    if (worst == nullptr || figure(agent) > figure(*worst)) worst = &agent;
  }
  if (worst == nullptr) return "";
  std::string others;
  if (above > 1)
    others = absl::StrCat(" (and ", above - 1, above == 2 ? " other agent" : " other agents", " likewise)");
  return absl::StrCat("phase ", phase.name, ": agent ", worst->name, " ", sentence(*worst), others);
}

class Judgement {
 public:
  void Add(std::string reason) { *verdict_.add_reasons() = std::move(reason); }
  void AddNote(std::string note) { *verdict_.add_notes() = std::move(note); }

  // One sentence for the agent with the highest figure above `limit`, and a count of the others.
  void AddWorst(const RunFacts::Phase& phase, double limit, const Figure& figure, const Sentence& sentence) {
    if (std::string worst = DescribeWorst(phase, limit, figure, sentence); !worst.empty())
      Add(std::move(worst));
  }
  void NoteWorst(const RunFacts::Phase& phase, double limit, const Figure& figure, const Sentence& sentence) {
    if (std::string worst = DescribeWorst(phase, limit, figure, sentence); !worst.empty())
      AddNote(std::move(worst));
  }

  v1::Verdict Take() {
    verdict_.set_valid(verdict_.reasons_size() == 0);
    return std::move(verdict_);
  }

 private:
  v1::Verdict verdict_;
};

double LateShare(const RunFacts::Agent& agent) {
  const v1::AgentStrain& strain = agent.strain;
  return strain.noticed() == 0
             ? 0
             : static_cast<double>(strain.noticed_late()) / static_cast<double>(strain.noticed());
}

double ThrottledShare(const RunFacts::Agent& agent) {
  const v1::AgentStrain& strain = agent.strain;
  if (strain.machine_seconds() <= 0) return 0;
  return static_cast<double>(strain.machine().throttled_ns()) / 1e9 / strain.machine_seconds();
}

// "in second 12", "from second 3 to 16", "in 14 seconds between 3 and 40".
std::string When(const v1::Spell& spell) {
  if (spell.seconds() == 0) return "now and then";
  if (spell.first_second() == spell.last_second()) return absl::StrCat("in second ", spell.first_second());
  if (spell.last_second() - spell.first_second() + 1 == spell.seconds())
    return absl::StrCat("from second ", spell.first_second(), " to ", spell.last_second());
  return absl::StrCat("in ", spell.seconds(), " seconds between ", spell.first_second(), " and ",
                      spell.last_second());
}

// What its machine does besides, for the reader to see who takes the processors.
std::string DescribeMachine(const v1::MachineUse& machine) {
  const double own = machine.process_cpus() / std::max(1u, machine.processors());
  return absl::StrFormat("its machine was %.0f%% busy, %.0f%% with the agent itself",
                         machine.machine_cpu() * 100, own * 100);
}

void JudgeProcessors(const RunFacts::Phase& phase, Judgement& judgement) {
  judgement.AddWorst(
      phase, std::nextafter(kFullReactor, 0),
      [](const RunFacts::Agent& agent) { return agent.strain.busiest_reactor_mean(); },
      [](const RunFacts::Agent& agent) {
        return absl::StrFormat(
            "used %.0f%% of a core on a reactor thread, fully so %s: the ceiling is the agent's, not the "
            "database's; raise fleet.threads or add agents",
            agent.strain.busiest_reactor_mean() * 100, When(agent.strain.full_reactor()));
      });
  judgement.AddWorst(phase, kMostThrottled, ThrottledShare, [](const RunFacts::Agent& agent) {
    return absl::StrFormat(
        "was kept from running by its control group for %.1f s, %s: its CPU quota was used up; raise that "
        "limit or add agents",
        static_cast<double>(agent.strain.machine().throttled_ns()) / 1e9, When(agent.strain.throttled()));
  });
  judgement.AddWorst(
      phase, 0,
      [](const RunFacts::Agent& agent) {
        const v1::MachineUse& machine = agent.strain.machine();
        return FillsItsMachine(machine) ? machine.machine_cpu() : 0;
      },
      [](const RunFacts::Agent& agent) {
        return absl::StrCat("had no processor left: ", DescribeMachine(agent.strain.machine()), ", ",
                            When(agent.strain.full_machine()),
                            "; the ceiling is the agent's, not the database's: add machines");
      });
  judgement.NoteWorst(
      phase, kMuchWaiting, [](const RunFacts::Agent& agent) { return agent.strain.machine().waited(); },
      [](const RunFacts::Agent& agent) {
        return absl::StrFormat(
            "had a thread that was ready to run and waited for a processor %.0f%% of the time, %s (%s): "
            "latencies hold that time",
            agent.strain.machine().waited() * 100, When(agent.strain.waited()),
            DescribeMachine(agent.strain.machine()));
      });
  judgement.NoteWorst(
      phase, kMuchStolen, [](const RunFacts::Agent& agent) { return agent.strain.machine().stolen_cpu(); },
      [](const RunFacts::Agent& agent) {
        return absl::StrFormat(
            "ran on a machine from which its hypervisor kept %.0f%% of the processors' time: latencies hold "
            "that time",
            agent.strain.machine().stolen_cpu() * 100);
      });
}

void JudgeMachineLimits(const RunFacts::Phase& phase, Judgement& judgement) {
  judgement.AddWorst(
      phase, 0,
      [](const RunFacts::Agent& agent) { return static_cast<double>(agent.strain.too_many_files()); },
      [](const RunFacts::Agent& agent) {
        return absl::StrCat(
            "could not open ", agent.strain.too_many_files(), " connections, ",
            When(agent.strain.out_of_files()),
            ", because it had no file descriptor left: raise its limit (ulimit -n) or add agents");
      });
  judgement.AddWorst(
      phase, 0, [](const RunFacts::Agent& agent) { return static_cast<double>(agent.strain.no_free_port()); },
      [](const RunFacts::Agent& agent) {
        return absl::StrCat("could not open ", agent.strain.no_free_port(), " connections, ",
                            When(agent.strain.out_of_ports()),
                            ", because its machine had no port left to connect from: widen "
                            "net.ipv4.ip_local_port_range, reconnect less often, or add machines");
      });
}

void NoteReporting(const RunFacts::Phase& phase, Judgement& judgement) {
  judgement.NoteWorst(
      phase, 0, [](const RunFacts::Agent& agent) { return static_cast<double>(agent.coarse_seconds); },
      [](const RunFacts::Agent& agent) {
        return absl::StrCat(
            "told ", agent.coarse_seconds,
            " seconds in slices of several, because they could not be sent one by one: sums and "
            "percentiles are exact, but the series is evened out there");
      });
  judgement.NoteWorst(
      phase, 0, [](const RunFacts::Agent& agent) { return static_cast<double>(agent.log_dropped); },
      [](const RunFacts::Agent& agent) {
        return absl::StrCat(
            "left ", agent.log_dropped,
            " transactions out of the log, because they could not be sent in time; they are counted");
      });
}

void NoteUnfulfilled(const RunFacts::Phase& phase, Judgement& judgement) {
  const double done = static_cast<double>(phase.transactions) / static_cast<double>(phase.offered);
  if (!phase.open || !(done < kKeptUp)) return;
  std::string note = absl::StrFormat("phase %s: %d of the %d transactions that came due were done (%.0f%%)",
                                     phase.name, phase.transactions, phase.offered, done * 100);
  if (phase.dropped > 0)
    absl::StrAppend(&note, "; ", phase.dropped, " were dropped because the line for a connection was full");
  if (phase.pool_timeouts > 0) {
    absl::StrAppend(&note, "; ", phase.pool_timeouts,
                    " gave up waiting for a connection: the pools were exhausted");
  }
  judgement.AddNote(std::move(note));
}

void JudgePhase(const RunFacts::Phase& phase, Judgement& judgement) {
  judgement.AddWorst(
      phase, 0, [](const RunFacts::Agent& agent) { return static_cast<double>(agent.missing_intervals); },
      [](const RunFacts::Agent& agent) {
        return absl::StrCat("sent ", agent.missing_intervals,
                            " intervals that never came in: the totals lack them");
      });
  NoteReporting(phase, judgement);
  if (!phase.loaded_to_the_end) {
    judgement.Add(absl::StrCat("phase ", phase.name,
                               ": all agents that had begun it were lost or left before it was over: it "
                               "was cut short"));
  }
  if (!phase.recorded) return;
  if (phase.open) {
    judgement.AddWorst(phase, kMostNoticedLate, LateShare, [](const RunFacts::Agent& agent) {
      return absl::StrFormat(
          "noticed %.1f%% of its arrivals more than 10 ms after they were due (at most %.0f%% may be), %s: "
          "the load was not the plan's; give it more CPU or spread the load over more agents",
          LateShare(agent) * 100, kMostNoticedLate * 100, When(agent.strain.late()));
    });
  }
  JudgeProcessors(phase, judgement);
  JudgeMachineLimits(phase, judgement);
  judgement.AddWorst(
      phase, kMostStartSkewMicros, [](const RunFacts::Agent& agent) { return std::abs(agent.start_skew_us); },
      [](const RunFacts::Agent& agent) {
        return absl::StrFormat("began %.0f ms %s the agreed instant (at most %.0f ms may be)",
                               std::abs(agent.start_skew_us) / 1000,
                               agent.start_skew_us < 0 ? "before" : "after", kMostStartSkewMicros / 1000);
      });
  if (phase.aborted_clients > 0) {
    judgement.Add(absl::StrCat("phase ", phase.name, ": ", phase.aborted_clients,
                               phase.aborted_clients == 1 ? " client" : " clients",
                               " ended before the phase did, because a transaction failed",
                               phase.abort_reason.empty() ? "" : absl::StrCat(": ", phase.abort_reason)));
  }
  if (phase.transactions == 0) {
    judgement.Add(absl::StrCat("phase ", phase.name, ": no transaction succeeded"));
  } else {
    NoteUnfulfilled(phase, judgement);
  }
}

std::string DescribeLoss(const v1::Loss& loss) {
  const std::string when =
      loss.noticed_s() < 0
          ? absl::StrCat("before phase ", loss.phase())
          : absl::StrCat("in second ", static_cast<int64_t>(loss.noticed_s()), " of phase ", loss.phase());
  std::string text = absl::StrCat("agent ", loss.agent(), loss.announced() ? " left " : " was lost ", when,
                                  ": ", loss.reason());
  if (loss.share() <= 0) return text;
  absl::StrAppend(&text, absl::StrFormat("; %.3g%% of the load was ", loss.share() * 100));
  // All that it did in the second in which it left may be known, and the others have begun in it too.
  const bool ever_missing = !loss.has_taken_over_s() || loss.taken_over_s() > loss.from_s();
  if (ever_missing)
    absl::StrAppend(&text, "missing from second ", static_cast<int64_t>(loss.from_s()), " on");
  if (ever_missing && loss.has_taken_over_s()) absl::StrAppend(&text, ", and was ");
  if (loss.has_taken_over_s()) {
    absl::StrAppend(&text, "taken over by the others in second ", static_cast<int64_t>(loss.taken_over_s()));
  }
  return text;
}

}  // namespace

v1::Verdict Judge(const RunFacts& facts) {
  Judgement judgement;
  if (facts.cancelled) judgement.Add("the run was cancelled before its end");
  if (!facts.stopped.empty()) judgement.Add(absl::StrCat("the run ended before its time: ", facts.stopped));
  const size_t left = facts.agents - facts.lost_agents;
  const bool enough = facts.min_agents > 0 && left >= facts.min_agents;
  for (const v1::Loss& loss : facts.losses) {
    if (enough) {
      judgement.AddNote(DescribeLoss(loss));
    } else {
      judgement.Add(DescribeLoss(loss));
    }
  }
  if (facts.min_agents > 0 && !enough) {
    judgement.Add(absl::StrCat(left, " of ", facts.agents,
                               " agents were left, fewer than fleet.min_agents, which is ",
                               facts.min_agents));
  }
  for (const RunFacts::Phase& phase : facts.phases) JudgePhase(phase, judgement);
  return judgement.Take();
}

}  // namespace trunkload

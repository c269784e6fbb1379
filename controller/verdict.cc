#include "controller/verdict.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace trunkload {
namespace {

// An open load is what the plan says only if agents notice its arrivals when they are due. One in a hundred a
// little late is what a busy machine does; more of them would be seen in the p99 of what is reported.
constexpr double kMostNoticedLate = 0.01;
// A reactor that hardly ever waits is what limits the throughput, and its latencies hold its own queue.
constexpr double kFullReactor = 0.95;
// Phases are judged over seconds: agents that begin further apart than this don't load the database together.
constexpr double kMostStartSkewMicros = 100'000;

class Judgement {
 public:
  void Add(std::string reason) { *verdict_.add_reasons() = std::move(reason); }
  void AddNote(std::string note) { *verdict_.add_notes() = std::move(note); }

  // One sentence for the agent with the highest figure above `limit`, and a count of the others.
  void AddWorst(const RunFacts::Phase& phase, double limit,
                const std::function<double(const RunFacts::Agent&)>& figure,
                const std::function<std::string(const RunFacts::Agent&)>& sentence) {
    const RunFacts::Agent* worst = nullptr;
    int above = 0;
    for (const RunFacts::Agent& agent : phase.agents) {
      if (!(figure(agent) > limit)) continue;
      ++above;
      if (worst == nullptr || figure(agent) > figure(*worst)) worst = &agent;
    }
    if (worst == nullptr) return;
    std::string others;
    if (above > 1)
      others = absl::StrCat(" (and ", above - 1, above == 2 ? " other agent" : " other agents", " likewise)");
    Add(absl::StrCat("phase ", phase.name, ": agent ", worst->name, " ", sentence(*worst), others));
  }

  v1::Verdict Take() {
    verdict_.set_valid(verdict_.reasons_size() == 0);
    return std::move(verdict_);
  }

 private:
  v1::Verdict verdict_;
};

double LateShare(const RunFacts::Agent& agent) {
  return agent.noticed == 0 ? 0
                            : static_cast<double>(agent.noticed_late) / static_cast<double>(agent.noticed);
}

void JudgePhase(const RunFacts::Phase& phase, Judgement& judgement) {
  judgement.AddWorst(
      phase, 0, [](const RunFacts::Agent& agent) { return static_cast<double>(agent.missing_intervals); },
      [](const RunFacts::Agent& agent) {
        return absl::StrCat("sent ", agent.missing_intervals,
                            " intervals that never came in: the totals lack them");
      });
  if (!phase.recorded) return;
  if (phase.open) {
    judgement.AddWorst(phase, kMostNoticedLate, LateShare, [](const RunFacts::Agent& agent) {
      return absl::StrFormat(
          "noticed %.1f%% of its arrivals more than 10 ms after they were due (at most %.0f%% may be): "
          "the load was not the plan's; give it more CPU or spread the load over more agents",
          LateShare(agent) * 100, kMostNoticedLate * 100);
    });
  }
  judgement.AddWorst(
      phase, std::nextafter(kFullReactor, 0),
      [](const RunFacts::Agent& agent) { return agent.busiest_reactor; },
      [](const RunFacts::Agent& agent) {
        return absl::StrFormat(
            "used %.0f%% of a core on a reactor thread: the ceiling is the agent's, not the database's; "
            "raise fleet.threads or add agents",
            agent.busiest_reactor * 100);
      });
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
  if (phase.transactions == 0)
    judgement.Add(absl::StrCat("phase ", phase.name, ": no transaction succeeded"));
}

std::string DescribeLoss(const v1::Loss& loss) {
  const std::string when =
      loss.noticed_s() < 0
          ? absl::StrCat("before phase ", loss.phase())
          : absl::StrCat("in second ", static_cast<int64_t>(loss.noticed_s()), " of phase ", loss.phase());
  std::string text = absl::StrCat("agent ", loss.agent(), loss.announced() ? " left " : " was lost ", when,
                                  ": ", loss.reason());
  if (loss.share() <= 0) return text;
  absl::StrAppend(&text, absl::StrFormat("; %.3g%% of the load was missing from second %d on",
                                         loss.share() * 100, static_cast<int64_t>(loss.from_s())));
  if (loss.has_taken_over_s()) {
    absl::StrAppend(&text, absl::StrFormat(", and was taken over by the others in second %d",
                                           static_cast<int64_t>(loss.taken_over_s())));
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

#include "controller/fleet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

constexpr uint32_t kProtocol = 1;
constexpr size_t kLongestName = 128;
constexpr size_t kLongestText = 256;
constexpr int kMostLabels = 64;

// Among so many round trips one is likely to have met no queue on its way.
constexpr int kProbes = 8;
constexpr int64_t kProbeSpacingNanos = 25'000'000;
// StartPhase must reach the slowest agent before the instant it names, one retransmission of TCP (200 ms at
// least) included where none was seen yet.
constexpr int64_t kStartMarginNanos = 250'000'000;
constexpr int64_t kStartRoundTrips = 4;
constexpr int64_t kLongestLeadNanos = 5'000'000'000;

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= kLongestName && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  });
}

// Fit to be printed on a terminal.
bool IsText(const std::string& text) {
  return text.size() <= kLongestText && std::none_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_iscntrl(static_cast<unsigned char>(c));
         });
}

absl::Status Check(const v1::Hello& hello) {
  if (hello.protocol() != kProtocol) {
    return absl::FailedPreconditionError(absl::StrCat("the agent speaks protocol ", hello.protocol(),
                                                      ", this controller ", kProtocol,
                                                      ": install the same version on both"));
  }
  if (!IsName(hello.name())) {
    return absl::InvalidArgumentError(
        absl::StrCat("an agent's name has 1 to ", kLongestName,
                     " letters, digits, '-', '_' and '.': choose another with --name"));
  }
  if (hello.labels_size() > kMostLabels) {
    return absl::InvalidArgumentError(absl::StrCat("agent ", hello.name(), " has ", hello.labels_size(),
                                                   " labels, more than ", kMostLabels));
  }
  for (const auto& [key, value] : hello.labels()) {
    if (key.empty() || !IsText(key) || !IsText(value)) {
      return absl::InvalidArgumentError(absl::StrCat("agent ", hello.name(),
                                                     " has a label that is empty, longer than ", kLongestText,
                                                     " bytes or holds control characters"));
    }
  }
  if (!IsText(hello.host()) || !IsText(hello.version())) {
    return absl::InvalidArgumentError(absl::StrCat("agent ", hello.name(),
                                                   " has a host or version longer than ", kLongestText,
                                                   " bytes or with control characters"));
  }
  return absl::OkStatus();
}

}  // namespace

void Fleet::Connect(AgentId agent) {
  members_.try_emplace(agent);
}

absl::Status Fleet::Join(AgentId agent, v1::Hello hello) {
  Member& member = members_.at(agent);
  if (member.hello) return absl::FailedPreconditionError("a second Hello");
  if (absl::Status status = Check(hello); !status.ok()) return status;
  if (!names_.insert(hello.name()).second) {
    return absl::AlreadyExistsError(absl::StrCat(
        "an agent named ", hello.name(), " is in the fleet already: choose another name with --name"));
  }
  member.hello = std::move(hello);
  return absl::OkStatus();
}

void Fleet::Leave(AgentId agent) {
  const auto member = members_.find(agent);
  if (member == members_.end()) return;
  if (member->second.hello) names_.erase(member->second.hello->name());
  members_.erase(member);
}

bool Fleet::joined(AgentId agent) const {
  const auto member = members_.find(agent);
  return member != members_.end() && member->second.hello.has_value();
}

std::vector<AgentId> Fleet::joined_agents() const {
  std::vector<AgentId> agents;
  for (const auto& [id, member] : members_) {
    if (member.hello) agents.push_back(id);
  }
  return agents;
}

void Fleet::ProbeFrom(AgentId agent, int64_t from_ns) {
  Member& member = members_.at(agent);
  member.probes_left = kProbes;
  member.next_probe_ns = from_ns;
  next_probe_ns_ = std::min(next_probe_ns_, from_ns);
}

std::vector<AgentId> Fleet::TakeDueProbes(int64_t now_ns) {
  std::vector<AgentId> due;
  if (now_ns < next_probe_ns_) return due;
  next_probe_ns_ = INT64_MAX;
  for (auto& [id, member] : members_) {
    if (member.probes_left == 0) continue;
    if (member.next_probe_ns <= now_ns) {
      due.push_back(id);
      member.next_probe_ns = --member.probes_left == 0 ? INT64_MAX : now_ns + kProbeSpacingNanos;
    }
    next_probe_ns_ = std::min(next_probe_ns_, member.next_probe_ns);
  }
  return due;
}

bool Fleet::Probed(AgentId agent) const {
  const Member& member = members_.at(agent);
  return member.probes_left == 0 && member.clock.known() &&
         member.clock.probes_answered() == member.clock.probes_sent();
}

int64_t Fleet::LeadNanos(AgentId agent) const {
  return std::min(kStartMarginNanos + kStartRoundTrips * clock(agent).SlowestRoundTripNanos(),
                  kLongestLeadNanos);
}

}  // namespace trunkload

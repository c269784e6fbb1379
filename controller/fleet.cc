#include "controller/fleet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

constexpr uint32_t kProtocol = 2;
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
  if (hello.instance() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("agent ", hello.name(), " does not say which process it is"));
  }
  if (!IsText(hello.host()) || !IsText(hello.version())) {
    return absl::InvalidArgumentError(absl::StrCat("agent ", hello.name(),
                                                   " has a host or version longer than ", kLongestText,
                                                   " bytes or with control characters"));
  }
  return absl::OkStatus();
}

}  // namespace

void Fleet::Connect(StreamId stream) {
  streams_.try_emplace(stream);
}

absl::StatusOr<Fleet::Joined> Fleet::Join(StreamId stream, v1::Hello hello, int64_t now_ns) {
  if (streams_.at(stream)) return absl::FailedPreconditionError("a second Hello");
  if (absl::Status status = Check(hello); !status.ok()) return status;
  if (const auto found = by_instance_.find(hello.instance()); found != by_instance_.end()) {
    absl::StatusOr<Joined> joined = Return(found->second, stream, std::move(hello));
    if (joined.ok()) Hear(members_.at(joined->agent), now_ns);
    return joined;
  }
  Joined joined;
  if (const auto found = by_name_.find(hello.name()); found != by_name_.end()) {
    if (members_.at(found->second).stream) {
      return absl::AlreadyExistsError(absl::StrCat(
          "an agent named ", hello.name(), " is in the fleet already: choose another name with --name"));
    }
    joined.replaced = found->second;
    Remove(found->second);
  }
  joined.agent = ++last_agent_;
  by_name_[hello.name()] = joined.agent;
  by_instance_[hello.instance()] = joined.agent;
  Member& member = members_[joined.agent];
  member.hello = std::move(hello);
  member.stream = stream;
  streams_[stream] = joined.agent;
  Hear(member, now_ns);
  return joined;
}

absl::StatusOr<Fleet::Joined> Fleet::Return(AgentId agent, StreamId stream, v1::Hello hello) {
  Member& member = members_.at(agent);
  if (hello.name() != member.hello.name()) {
    return absl::FailedPreconditionError("an agent that was here under another name");
  }
  Joined joined{.agent = agent, .returned = true, .stream_before = member.stream};
  if (member.stream) Disconnect(*member.stream);
  member.hello = std::move(hello);
  member.stream = stream;
  streams_[stream] = agent;
  return joined;
}

void Fleet::Hear(Member& member, int64_t now_ns) {
  member.silent = false;
  member.last_heard_ns = std::max(member.last_heard_ns, now_ns);
  heartbeats_.Add(member.hello.instance(), now_ns);
  next_silence_ns_ = std::min(next_silence_ns_, now_ns + kSilenceNanos);
}

std::optional<AgentId> Fleet::Disconnect(StreamId stream) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return std::nullopt;
  const std::optional<AgentId> agent = found->second;
  streams_.erase(found);
  if (!agent) return std::nullopt;
  Member& member = members_.at(*agent);
  member.stream.reset();
  member.clock.GiveUpProbes();
  member.probes_left = 0;
  member.next_probe_ns = INT64_MAX;
  return agent;
}

void Fleet::Remove(AgentId agent) {
  const auto found = members_.find(agent);
  if (found == members_.end()) return;
  const Member& member = found->second;
  if (member.stream) streams_.erase(*member.stream);
  heartbeats_.Remove(member.hello.instance());
  by_instance_.erase(member.hello.instance());
  by_name_.erase(member.hello.name());
  members_.erase(found);
}

void Fleet::RemoveAway() {
  std::vector<AgentId> away;
  for (const auto& [id, member] : members_) {
    if (!member.stream) away.push_back(id);
  }
  for (const AgentId agent : away) Remove(agent);
}

void Fleet::Restore(AgentId agent, v1::Hello hello, uint64_t sequence, int64_t now_ns) {
  Reserve(agent);
  by_name_[hello.name()] = agent;
  by_instance_[hello.instance()] = agent;
  Member& member = members_[agent];
  member.hello = std::move(hello);
  member.sequence = sequence;
  // It is expected to be away for a while.
  member.silent = true;
  member.last_heard_ns = now_ns;
}

std::optional<AgentId> Fleet::AgentOf(StreamId stream) const {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? std::nullopt : found->second;
}

std::optional<StreamId> Fleet::StreamOf(AgentId agent) const {
  const auto found = members_.find(agent);
  return found == members_.end() ? std::nullopt : found->second.stream;
}

std::optional<AgentId> Fleet::Named(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? std::nullopt : std::optional<AgentId>(found->second);
}

std::vector<AgentId> Fleet::joined_agents() const {
  std::vector<AgentId> agents;
  for (const auto& [id, member] : members_) {
    if (member.stream) agents.push_back(id);
  }
  return agents;
}

bool Fleet::TakeSequence(AgentId agent, uint64_t sequence) {
  uint64_t& newest = members_.at(agent).sequence;
  if (sequence <= newest) return false;
  newest = sequence;
  return true;
}

void Fleet::HearAll(int64_t now_ns) {
  for (auto& [id, member] : members_) {
    if (!member.silent) Hear(member, now_ns);
  }
}

std::vector<AgentId> Fleet::TakeSilent(int64_t now_ns) {
  std::vector<AgentId> silent;
  if (now_ns < next_silence_ns_) return silent;
  next_silence_ns_ = INT64_MAX;
  for (auto& [id, member] : members_) {
    if (member.silent) continue;
    member.last_heard_ns = std::max(member.last_heard_ns, heartbeats_.LastNanos(member.hello.instance()));
    const int64_t silent_from_ns = member.last_heard_ns + kSilenceNanos;
    if (now_ns < silent_from_ns) {
      next_silence_ns_ = std::min(next_silence_ns_, silent_from_ns);
      continue;
    }
    member.silent = true;
    heartbeats_.Remove(member.hello.instance());
    silent.push_back(id);
  }
  return silent;
}

void Fleet::ProbeFrom(AgentId agent, int64_t from_ns) {
  Member& member = members_.at(agent);
  if (!member.stream) return;
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

#include "controller/cli/local_agents.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc 2.36 forgot to declare these as C's.
extern "C" {
#include <sys/pidfd.h>
}

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "controller/child_process.h"

namespace trunkload {
namespace {

constexpr absl::Duration kGoodbye = absl::Seconds(5);
constexpr size_t kLastWordsBytes = 1000;

absl::StatusOr<std::string> AgentProgram() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path agent = self.parent_path() / "trunkload-agent";
  if (error || access(agent.c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat("no program ", agent.string(),
                     ": --local needs trunkload-agent beside trunkload; build or copy it there"));
  }
  return agent.string();
}

std::string HowItEnded(const siginfo_t& info) {
  return info.si_code == CLD_EXITED ? absl::StrCat("ended with status ", info.si_status)
                                    : absl::StrCat("was killed by signal ", info.si_status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalAgents>> LocalAgents::Start(const Options& options, OnDeath on_death) {
  absl::StatusOr<std::string> program = AgentProgram();
  if (!program.ok()) return program.status();
  std::unique_ptr<LocalAgents> agents(new LocalAgents(std::move(on_death)));
  for (uint32_t i = 1; i <= options.count; ++i) {
    if (absl::Status status = agents->Spawn(*program, absl::StrCat("local-", i), options); !status.ok())
      return status;
  }
  agents->watcher_ = std::thread([agents = agents.get()] { agents->Watch(); });
  return agents;
}

absl::Status LocalAgents::Spawn(const std::string& program, const std::string& name, const Options& options) {
  int output[2];
  // The agent's end blocks, as programs expect of what they write to.
  if (pipe2(output, O_CLOEXEC) != 0 || fcntl(output[0], F_SETFL, O_NONBLOCK) != 0) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot start an agent: ", std::strerror(errno)));
  }
  const absl::Cleanup close_output = [&output] { close(output[1]); };
  std::vector<std::string> arguments = {program,  "--controller", options.controller,
                                        "--name", name,           "--once"};
  if (options.allow_shell) arguments.push_back("--allow-shell");
  const absl::StatusOr<pid_t> pid =
      StartProcess({.arguments = std::move(arguments), .output_fd = output[1], .process_group = true});
  if (!pid.ok()) {
    close(output[0]);
    return pid.status();
  }
  Agent agent;
  agent.pid = *pid;
  agent.name = name;
  agent.pid_fd = pidfd_open(agent.pid, 0);
  if (agent.pid_fd < 0) {
    const std::string why = std::strerror(errno);
    kill(agent.pid, SIGKILL);
    waitpid(agent.pid, nullptr, 0);
    close(output[0]);
    return absl::ResourceExhaustedError(absl::StrCat("cannot watch an agent: ", why));
  }
  agent.output_fd = output[0];
  absl::MutexLock lock(&mutex_);
  agents_.push_back(std::move(agent));
  return absl::OkStatus();
}

LocalAgents::~LocalAgents() {
  ExpectEnd();
  if (!watcher_.joinable()) {
    Signal(SIGKILL);
    watcher_ = std::thread([this] { Watch(); });
  }
  Signal(SIGTERM);
  bool all_ended;
  {
    absl::MutexLock lock(&mutex_);
    all_ended = mutex_.AwaitWithTimeout(absl::Condition(this, &LocalAgents::AllEnded), kGoodbye);
  }
  if (!all_ended) Signal(SIGKILL);
  watcher_.join();
}

void LocalAgents::ExpectEnd() {
  absl::MutexLock lock(&mutex_);
  end_expected_ = true;
}

void LocalAgents::Signal(int signal) {
  absl::MutexLock lock(&mutex_);
  for (const Agent& agent : agents_) {
    if (!agent.ended) kill(agent.pid, signal);
  }
}

bool LocalAgents::AllEnded() const {
  return std::all_of(agents_.begin(), agents_.end(), [](const Agent& agent) { return agent.ended; });
}

void LocalAgents::Watch() {
  while (true) {
    std::vector<pollfd> waiting;
    {
      absl::MutexLock lock(&mutex_);
      if (AllEnded()) return;
      for (const Agent& agent : agents_) {
        waiting.push_back({agent.ended ? -1 : agent.pid_fd, POLLIN, 0});
        waiting.push_back({agent.ended ? -1 : agent.output_fd, POLLIN, 0});
      }
    }
    poll(waiting.data(), waiting.size(), -1);
    absl::MutexLock lock(&mutex_);
    for (size_t i = 0; i < agents_.size(); ++i) {
      Agent& agent = agents_[i];
      if (agent.ended) continue;
      if (waiting[2 * i + 1].revents != 0) ReadLastWords(agent);
      if (waiting[2 * i].revents != 0) Reap(agent);
    }
  }
}

void LocalAgents::ReadLastWords(Agent& agent) {
  char text[4096];
  ssize_t count;
  while ((count = read(agent.output_fd, text, sizeof(text))) > 0) {
    agent.last_words.append(text, count);
    if (agent.last_words.size() > kLastWordsBytes) {
      agent.last_words.erase(0, agent.last_words.size() - kLastWordsBytes);
    }
  }
  // Closed while the process is still there: its end is all there is to wait for.
  if (count == 0) close(std::exchange(agent.output_fd, -1));
}

void LocalAgents::Reap(Agent& agent) {
  siginfo_t info{};
  if (waitid(P_PID, agent.pid, &info, WEXITED) != 0) return;
  agent.ended = true;
  if (agent.output_fd >= 0) ReadLastWords(agent);
  if (agent.output_fd >= 0) close(agent.output_fd);
  close(agent.pid_fd);
  if (end_expected_) return;
  const std::string last = LastLine(agent.last_words);
  on_death_(agent.name, absl::StrCat("agent ", agent.name, " ", HowItEnded(info),
                                     last.empty() ? "" : absl::StrCat(": ", last)));
}

}  // namespace trunkload

#include "agent/slice.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "google/protobuf/stubs/common.h"

namespace trunkload {
namespace {

constexpr size_t kLongestMessage = 200;

// A message of the server's, cut between characters; none where it is not in UTF-8.
std::string Shortened(std::string_view message) {
  size_t length = std::min(message.size(), kLongestMessage);
  while (length < message.size() && length > 0 && (message[length] & 0xc0) == 0x80) --length;
  std::string shortened(message.substr(0, length));
  const bool utf8 =
      google::protobuf::internal::IsStructurallyValidUTF8(shortened.data(), static_cast<int>(length));
  if (!utf8) shortened.clear();
  for (char& c : shortened) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return shortened;
}

}  // namespace

void CommandSlice::Merge(const CommandSlice& other) {
  latency.Merge(other.latency);
  failures += other.failures;
  retries += other.retries;
}

void CommandSlice::Clear() {
  latency.Clear();
  failures = retries = 0;
}

void ScriptSlice::AddError(std::string_view code, std::string_view message) {
  if (errors.Add(code) && !message.empty()) error_messages.emplace(code, Shortened(message));
}

void ScriptSlice::Merge(const ScriptSlice& other) {
  offered += other.offered;
  transactions += other.transactions;
  rows += other.rows;
  dropped += other.dropped;
  skipped += other.skipped;
  late += other.late;
  retried += other.retried;
  retries += other.retries;
  deadlock_retries += other.deadlock_retries;
  errors.Merge(other.errors);
  error_messages.insert(other.error_messages.begin(), other.error_messages.end());
  response.Merge(other.response);
  service.Merge(other.service);
  pool_wait.Merge(other.pool_wait);
  send_lag.Merge(other.send_lag);
  failed.Merge(other.failed);
  for (size_t i = 0; i < commands.size(); ++i) commands[i].Merge(other.commands[i]);
  keys.Merge(other.keys);
  ledger.Merge(other.ledger);
  MergeFindings(other.findings, findings);
}

void ScriptSlice::Clear() {
  offered = transactions = rows = dropped = skipped = late = retried = retries = deadlock_retries = 0;
  errors.Clear();
  error_messages.clear();
  keys.Clear();
  ledger.Clear();
  findings.Clear();
  for (CommandSlice& command : commands) command.Clear();
  for (Histogram* histogram : {&response, &service, &pool_wait, &send_lag, &failed}) histogram->Clear();
}

Slice::Slice(const std::vector<size_t>& commands_of_scripts)
    : scripts(commands_of_scripts.begin(), commands_of_scripts.end()) {}

void Slice::Merge(const Slice& other) {
  for (size_t i = 0; i < scripts.size(); ++i) scripts[i].Merge(other.scripts[i]);
  schedule_lag.Merge(other.schedule_lag);
  reactor_cpu_ns += other.reactor_cpu_ns;
  busiest_reactor = std::max(busiest_reactor, other.busiest_reactor);
  connections_lost += other.connections_lost;
  connect_errors.Merge(other.connect_errors);
  last_completion_ns = std::max(last_completion_ns, other.last_completion_ns);
  aborted_clients += other.aborted_clients;
  log.MergeFrom(other.log);
}

void Slice::Clear() {
  for (ScriptSlice& script : scripts) script.Clear();
  schedule_lag.Clear();
  reactor_cpu_ns = 0;
  busiest_reactor = 0;
  connections_lost = 0;
  connect_errors.Clear();
  last_completion_ns = 0;
  aborted_clients = 0;
  log.Clear();
}

v1::Interval Slice::ToInterval(uint32_t phase, uint64_t number) const {
  v1::Interval interval;
  interval.set_phase(phase);
  interval.set_number(number);
  interval.set_first_second(first_second);
  interval.set_last_second(last_second);
  for (const ScriptSlice& slice : scripts) {
    v1::ScriptInterval& script = *interval.add_scripts();
    script.set_offered(slice.offered);
    script.set_transactions(slice.transactions);
    script.set_rows(slice.rows);
    script.set_dropped(slice.dropped);
    script.set_skipped(slice.skipped);
    script.set_late(slice.late);
    script.set_retried(slice.retried);
    script.set_retries(slice.retries);
    script.set_deadlock_retries(slice.deadlock_retries);
    slice.errors.AddTo(*script.mutable_errors());
    for (const auto& [code, message] : slice.error_messages) {
      if (!message.empty()) (*script.mutable_error_messages())[code] = message;
    }
    *script.mutable_response() = slice.response.ToProto();
    *script.mutable_service() = slice.service.ToProto();
    *script.mutable_pool_wait() = slice.pool_wait.ToProto();
    *script.mutable_send_lag() = slice.send_lag.ToProto();
    *script.mutable_failed() = slice.failed.ToProto();
    for (const CommandSlice& command : slice.commands) {
      v1::CommandInterval& to = *script.add_commands();
      *to.mutable_latency() = command.latency.ToProto();
      to.set_failures(command.failures);
      to.set_retries(command.retries);
    }
    if (slice.keys.counted() > 0) *script.mutable_keys() = slice.keys.ToProto();
    if (!slice.ledger.empty()) *script.mutable_ledger() = slice.ledger.ToProto();
    if (slice.findings.looks() > 0) {
      *script.mutable_findings() = slice.findings;
      for (v1::Finding& finding : *script.mutable_findings()->mutable_first()) finding.set_phase(phase);
    }
  }
  *interval.mutable_schedule_lag() = schedule_lag.ToProto();
  interval.set_reactor_cpu_ns(reactor_cpu_ns);
  interval.set_busiest_reactor(busiest_reactor);
  interval.set_connections_lost(connections_lost);
  connect_errors.AddTo(*interval.mutable_connect_errors());
  interval.set_last_completion_ns(last_completion_ns);
  interval.set_aborted_clients(aborted_clients);
  if (log.client_size() > 0) *interval.mutable_log() = log;
  return interval;
}

}  // namespace trunkload

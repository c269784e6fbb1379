#include "agent/slice.h"

#include <algorithm>

namespace trunkload {

void ScriptSlice::Merge(const ScriptSlice& other) {
  offered += other.offered;
  transactions += other.transactions;
  rows += other.rows;
  dropped += other.dropped;
  errors.Merge(other.errors);
  response.Merge(other.response);
  service.Merge(other.service);
  pool_wait.Merge(other.pool_wait);
  send_lag.Merge(other.send_lag);
  failed.Merge(other.failed);
}

void ScriptSlice::Clear() {
  offered = transactions = rows = dropped = 0;
  errors.Clear();
  for (Histogram* histogram : {&response, &service, &pool_wait, &send_lag, &failed}) histogram->Clear();
}

void Slice::Merge(const Slice& other) {
  for (size_t i = 0; i < scripts.size(); ++i) scripts[i].Merge(other.scripts[i]);
  schedule_lag.Merge(other.schedule_lag);
  reactor_cpu_ns += other.reactor_cpu_ns;
  busiest_reactor = std::max(busiest_reactor, other.busiest_reactor);
  connections_lost += other.connections_lost;
  connect_errors.Merge(other.connect_errors);
  last_completion_ns = std::max(last_completion_ns, other.last_completion_ns);
}

void Slice::Clear() {
  for (ScriptSlice& script : scripts) script.Clear();
  schedule_lag.Clear();
  reactor_cpu_ns = 0;
  busiest_reactor = 0;
  connections_lost = 0;
  connect_errors.Clear();
  last_completion_ns = 0;
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
    slice.errors.AddTo(*script.mutable_errors());
    *script.mutable_response() = slice.response.ToProto();
    *script.mutable_service() = slice.service.ToProto();
    *script.mutable_pool_wait() = slice.pool_wait.ToProto();
    *script.mutable_send_lag() = slice.send_lag.ToProto();
    *script.mutable_failed() = slice.failed.ToProto();
  }
  *interval.mutable_schedule_lag() = schedule_lag.ToProto();
  interval.set_reactor_cpu_ns(reactor_cpu_ns);
  interval.set_busiest_reactor(busiest_reactor);
  interval.set_connections_lost(connections_lost);
  connect_errors.AddTo(*interval.mutable_connect_errors());
  interval.set_last_completion_ns(last_completion_ns);
  return interval;
}

}  // namespace trunkload

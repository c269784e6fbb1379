#include "controller/agent_strain.h"

#include <algorithm>

namespace trunkload {
namespace {

void AddSeconds(const v1::Interval& interval, v1::Spell& spell) {
  if (spell.seconds() == 0 || interval.first_second() < spell.first_second())
    spell.set_first_second(interval.first_second());
  spell.set_last_second(std::max(spell.last_second(), interval.last_second()));
  spell.set_seconds(spell.seconds() + interval.last_second() - interval.first_second() + 1);
}

uint64_t CountOf(const v1::Interval& interval, const char* connect_error) {
  const auto found = interval.connect_errors().find(connect_error);
  return found == interval.connect_errors().end() ? 0 : found->second;
}

void AddArrivals(const v1::Interval& interval, Histogram& scratch, v1::AgentStrain& strain) {
  scratch.Clear();
  scratch.MergeChecked(interval.schedule_lag());
  const uint64_t late = scratch.CountAbove(kNoticedLateNanos);
  strain.set_noticed(strain.noticed() + scratch.count());
  strain.set_noticed_late(strain.noticed_late() + late);
  if (static_cast<double>(late) > kMostNoticedLate * static_cast<double>(scratch.count()))
    AddSeconds(interval, *strain.mutable_late());
}

void AddConnectErrors(const v1::Interval& interval, v1::AgentStrain& strain) {
  if (const uint64_t errors = CountOf(interval, "too_many_files"); errors > 0) {
    strain.set_too_many_files(strain.too_many_files() + errors);
    AddSeconds(interval, *strain.mutable_out_of_files());
  }
  if (const uint64_t errors = CountOf(interval, "no_free_port"); errors > 0) {
    strain.set_no_free_port(strain.no_free_port() + errors);
    AddSeconds(interval, *strain.mutable_out_of_ports());
  }
}

// `weight`: of the new value in the average.
double Average(double average, double value, double weight) {
  return average + (value - average) * weight;
}

void AddMachine(const v1::Interval& interval, double seconds, v1::AgentStrain& strain) {
  const v1::MachineUse& use = interval.machine();
  strain.set_machine_seconds(strain.machine_seconds() + seconds);
  const double weight = seconds / strain.machine_seconds();
  v1::MachineUse& machine = *strain.mutable_machine();
  machine.set_process_cpus(Average(machine.process_cpus(), use.process_cpus(), weight));
  machine.set_machine_cpu(Average(machine.machine_cpu(), use.machine_cpu(), weight));
  machine.set_stolen_cpu(Average(machine.stolen_cpu(), use.stolen_cpu(), weight));
  machine.set_waited(Average(machine.waited(), use.waited(), weight));
  machine.set_processors(std::max(machine.processors(), use.processors()));
  machine.set_throttled_ns(machine.throttled_ns() + use.throttled_ns());
  if (use.throttled_ns() > 0) AddSeconds(interval, *strain.mutable_throttled());
  if (FillsItsMachine(use)) AddSeconds(interval, *strain.mutable_full_machine());
  if (use.waited() > kMuchWaiting) AddSeconds(interval, *strain.mutable_waited());
}

}  // namespace

bool FillsItsMachine(const v1::MachineUse& machine) {
  return machine.machine_cpu() >= kFullMachine &&
         machine.process_cpus() >= kAgentsOwnDoing * std::max(1u, machine.processors());
}

void AddStrain(const v1::Interval& interval, double planned_seconds, Histogram& scratch,
               v1::AgentStrain& strain) {
  AddArrivals(interval, scratch, strain);
  AddConnectErrors(interval, strain);
  if (interval.first_second() >= planned_seconds) return;
  const double busiest = std::min(interval.busiest_reactor(), 1.0);
  strain.set_busiest_reactor(std::max(strain.busiest_reactor(), busiest));
  const double seconds = interval.last_second() - interval.first_second() + 1.0;
  strain.set_seconds(strain.seconds() + seconds);
  strain.set_busiest_reactor_mean(
      Average(strain.busiest_reactor_mean(), busiest, seconds / strain.seconds()));
  if (busiest >= kFullReactor) AddSeconds(interval, *strain.mutable_full_reactor());
  if (interval.has_machine()) AddMachine(interval, seconds, strain);
}

}  // namespace trunkload

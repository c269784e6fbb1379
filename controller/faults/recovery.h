#pragma once

#include "google/protobuf/repeated_ptr_field.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Works out what a fault did to the load of its phase, from the whole seconds of that: fills in the fields of
// FaultResult from throughput_before_per_s on. A figure is back with the first second from which on it is
// good for three seconds, or until the load ends; it never was away where that is the fault's own second.
// `load_s`: for how long the phase's load was on, without its drain.
void MeasureRecovery(const google::protobuf::RepeatedPtrField<v1::SeriesPoint>& series, double load_s,
                     v1::FaultResult& fault);

}  // namespace trunkload

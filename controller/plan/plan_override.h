#pragma once

#include <string>
#include <vector>

#include "controller/plan/yaml_reader.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// Applies one KEY=VALUE of --set. A key is a path of fields; an item of a list is named by its index from 0,
// or by the name it has: phases.open.duration. VALUE is taken as it is where the field is a text, and is YAML
// elsewhere; it replaces all that the field held. Mistakes are added as sentences.
void ApplyOverride(const std::string& setting, v1::Plan& plan, FieldPlaces& places,
                   std::vector<std::string>& mistakes);

}  // namespace trunkload

#include "controller/plan/fault_text.h"

#include "absl/strings/str_cat.h"
#include "controller/plan/plan_text.h"

namespace trunkload {

std::string FaultText(const v1::Fault& fault) {
  const std::string node = ShownText(NodeOfFault(fault));
  switch (fault.action_case()) {
    case v1::Fault::kTerminate:
      return absl::StrCat("terminate sessions of ", node);
    case v1::Fault::kStop:
      return absl::StrCat("stop ", node);
    case v1::Fault::kKill:
      return absl::StrCat("kill ", node);
    case v1::Fault::kPause:
      return absl::StrCat("pause ", node);
    case v1::Fault::kCutOff:
      return absl::StrCat("cut off ", node);
    case v1::Fault::kCommand:
      return absl::StrCat("run ", QuotedText(fault.command()));
    case v1::Fault::ACTION_NOT_SET:
      break;
  }
  return "nothing";
}

std::string NodeOfFault(const v1::Fault& fault) {
  switch (fault.action_case()) {
    case v1::Fault::kTerminate:
      return fault.terminate();
    case v1::Fault::kStop:
      return fault.stop();
    case v1::Fault::kKill:
      return fault.kill();
    case v1::Fault::kPause:
      return fault.pause();
    case v1::Fault::kCutOff:
      return fault.cut_off();
    case v1::Fault::kCommand:
    case v1::Fault::ACTION_NOT_SET:
      break;
  }
  return "";
}

}  // namespace trunkload

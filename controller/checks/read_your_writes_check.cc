#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "controller/checks/checks.h"

namespace trunkload {

// And at the end, each writer's register is what it wrote last, or what it wrote after that without an
// answer.
absl::Status SettleReadYourWrites(CheckContext& context, v1::CheckResult& result) {
  context.AddFindings(v1::BUILTIN_REGISTER_WRITE, "its own register", /*expected=*/false, result);
  result.set_verdict("each connection saw what it had written");
  const OperationRecord::Script* const script = context.Of(v1::BUILTIN_REGISTER_WRITE);
  if (script == nullptr) return absl::OkStatus();
  CheckContext::AddCounts(script->ledger, result);
  std::map<uint64_t, uint64_t> registers;
  const absl::Status status =
      context.ReadRows("SELECT register, value FROM trunkload_registers",
                       [&registers](const std::vector<absl::string_view>& values) {
                         uint64_t writer = 0;
                         uint64_t value = 0;
                         if (absl::SimpleAtoi(values[0], &writer) && absl::SimpleAtoi(values[1], &value))
                           registers[writer] = value;
                       });
  if (!status.ok()) return status;
  for (const auto& [number, writer] : script->ledger.writers()) {
    const RangeSet acknowledged = writer->ended.Minus(writer->refused).Minus(writer->lost);
    const uint64_t last = acknowledged.empty() ? 0 : acknowledged.ranges().back().last;
    const uint64_t value = registers.contains(number) ? registers.at(number) : 0;
    if (value >= last) continue;
    v1::Witness witness;
    witness.set_writer(number);
    witness.set_operation(last);
    witness.set_table("trunkload_registers");
    witness.set_key(static_cast<int64_t>(number));
    witness.set_node(context.NodeOf("trunkload_registers", static_cast<int64_t>(number)));
    witness.set_text(absl::StrCat("register ", number, " is ", value, " in the end, and ", last,
                                  " was written and acknowledged"));
    CheckContext::AddViolation(std::move(witness), result);
  }
  return absl::OkStatus();
}

}  // namespace trunkload

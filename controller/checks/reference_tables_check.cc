#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "controller/checks/checks.h"

namespace trunkload {
namespace {

// Which rate is what, on one node.
using Copy = std::map<std::string, std::string>;

absl::Status ReadCopies(CheckContext& context, std::map<std::string, Copy>& copies) {
  std::string failure;
  const absl::Status status = context.ReadRows(
      "SELECT nodename || ':' || nodeport, success, result FROM run_command_on_placements('trunkload_rates', "
      "'SELECT coalesce(string_agg(rate || ''='' || value, '','' ORDER BY rate), '''') FROM %s')",
      [&](const std::vector<absl::string_view>& values) {
        if (values[1] != "t") {
          failure = absl::StrCat(values[0], " does not answer: ", values[2]);
          return;
        }
        Copy& copy = copies[std::string(values[0])];
        for (const absl::string_view row : absl::StrSplit(values[2], ',', absl::SkipEmpty()))
          copy.insert(std::pair<std::string, std::string>(absl::StrSplit(row, absl::MaxSplits('=', 1))));
      });
  if (!status.ok()) return status;
  return failure.empty() ? absl::OkStatus() : absl::UnavailableError(failure);
}

}  // namespace

absl::Status SettleReferenceTables(CheckContext& context, v1::CheckResult& result) {
  if (!context.distributed()) {
    result.set_outcome(v1::CheckResult::OUTCOME_NOT_APPLICABLE);
    result.set_verdict("without Citus there is one copy");
    return absl::OkStatus();
  }
  std::map<std::string, Copy> copies;
  if (absl::Status status = ReadCopies(context, copies); !status.ok()) return status;
  for (const auto& [node, copy] : copies) {
    const auto& [first_node, first] = *copies.begin();
    Copy all = first;
    all.insert(copy.begin(), copy.end());
    for (const auto& [rate, value] : all) {
      const auto here = copy.find(rate);
      const auto there = first.find(rate);
      if (here != copy.end() && there != first.end() && here->second == there->second) continue;
      const auto text = [&](const Copy& of, Copy::const_iterator found) {
        return found == of.end() ? std::string("not there") : found->second;
      };
      v1::Witness witness;
      witness.set_table("trunkload_rates");
      witness.set_node(node);
      int64_t key = 0;
      if (absl::SimpleAtoi(rate, &key)) witness.set_key(key);
      witness.set_text(absl::StrCat("rate ", rate, " is ", text(first, there), " on ", first_node, " and ",
                                    text(copy, here), " on ", node));
      CheckContext::AddViolation(std::move(witness), result);
    }
  }
  if (const OperationRecord::Script* const script = context.Of(v1::BUILTIN_RATE_UPDATE)) {
    CheckContext::AddCounts(script->ledger, result);
    uint64_t sum = 0;
    for (const auto& [rate, value] : copies.empty() ? Copy() : copies.begin()->second) {
      uint64_t number = 0;
      if (absl::SimpleAtoi(value, &number)) sum += number;
    }
    // Each update adds one.
    const bool too_many = context.complete() && sum > result.acknowledged() + result.lost_answers();
    if (sum < result.acknowledged() || too_many) {
      v1::Witness witness;
      witness.set_table("trunkload_rates");
      witness.set_text(absl::StrCat("all rates together were updated ", sum, " times, and ",
                                    result.acknowledged(), " updates were acknowledged, ",
                                    result.lost_answers(), " had no answer"));
      CheckContext::AddViolation(std::move(witness), result);
    } else if (context.complete()) {
      result.set_lost_committed(std::min(result.lost_answers(), sum - result.acknowledged()));
    }
  }
  result.set_verdict(absl::StrCat("all ", copies.size(), " copies are the same"));
  return absl::OkStatus();
}

}  // namespace trunkload

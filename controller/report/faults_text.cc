#include "controller/report/faults_text.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

std::string SecondsText(double seconds) {
  return absl::StrFormat("%.1f s", seconds);
}

// Without a second of the fault's own phase before it there is nothing that a dip could be seen against.
std::string DipText(const v1::FaultResult& fault) {
  const bool stayed = fault.has_throughput_back_s() && fault.throughput_back_s() == 0;
  std::string text =
      absl::StrCat("throughput ", stayed ? "stayed, " : "fell from ",
                   RateText(fault.throughput_before_per_s()), stayed ? "/s before and " : "/s to ",
                   RateText(fault.throughput_lowest_per_s()), stayed ? "/s at the lowest" : "/s");
  const bool held = fault.has_p99_back_s() && fault.p99_back_s() == 0;
  absl::StrAppend(&text, held ? ", p99 stayed, " : ", p99 rose from ", LatencyText(fault.p99_before_us()),
                  held ? " before and " : " to ", LatencyText(fault.p99_highest_us()),
                  held ? " at the highest" : "");
  return absl::StrCat(text, ", ", CountText(fault.errors()), fault.errors() == 1 ? " error" : " errors");
}

// Empty where both were never away.
std::string BackText(const v1::FaultResult& fault) {
  const bool throughput = !fault.has_throughput_back_s() || fault.throughput_back_s() > 0;
  const bool p99 = !fault.has_p99_back_s() || fault.p99_back_s() > 0;
  std::string text;
  if (throughput) {
    text =
        fault.has_throughput_back_s()
            ? absl::StrCat("throughput was back ", SecondsText(fault.throughput_back_s()), " after it began")
            : "throughput was not back before the load ended";
  }
  if (p99) {
    absl::StrAppend(&text, text.empty() ? "" : ", ",
                    fault.has_p99_back_s() ? absl::StrCat("p99 was back ", SecondsText(fault.p99_back_s()),
                                                          throughput ? " after" : " after it began")
                                           : "p99 was not back before the load ended");
  }
  return text;
}

std::string Sentence(const v1::FaultResult& fault) {
  std::string text = absl::StrCat(fault.what(), " at ", SecondsText(fault.began_s()), " of ", fault.phase());
  if (Lasted(fault)) absl::StrAppend(&text, ", over at ", SecondsText(fault.ended_s()));
  if (!fault.failure().empty()) absl::StrAppend(&text, ": ", fault.failure());
  if (fault.throughput_before_per_s() > 0) {
    absl::StrAppend(&text, fault.failure().empty() ? ": " : "; ", DipText(fault));
    if (const std::string back = BackText(fault); !back.empty()) absl::StrAppend(&text, "; ", back);
  } else if (fault.failure().empty()) {
    absl::StrAppend(&text, ": nothing was done in a whole second before it, to compare with; ",
                    CountText(fault.errors()), fault.errors() == 1 ? " error" : " errors");
  }
  return text;
}

}  // namespace

bool Lasted(const v1::FaultResult& fault) {
  return fault.has_ended_s() && fault.ended_s() - fault.began_s() > 0.05;
}

void AddFaults(const v1::RunResult& result, Page& page) {
  if (result.faults().empty()) return;
  page.Line();
  page.Line("Faults on purpose", Paint::kHeading);
  for (const v1::FaultResult& fault : result.faults()) {
    const std::string sentence = Sentence(fault);
    page.Folded(fault.failure().empty() ? sentence : page.Painted(Paint::kBad, sentence), "  ");
  }
}

}  // namespace trunkload

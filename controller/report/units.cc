#include "controller/report/units.h"

#include <cmath>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace trunkload {
namespace {

// 1.23, 12.3, 123.
std::string ThreeDigits(double value) {
  if (value < 9.995) return absl::StrFormat("%.2f", value);
  if (value < 99.95) return absl::StrFormat("%.1f", value);
  return absl::StrFormat("%.0f", value);
}

}  // namespace

std::string LatencyText(double us) {
  if (us == 0) return "0 us";
  if (us < 99.95) return absl::StrFormat("%.*f us", us < 9.95 ? 1 : 0, us);
  if (us < 999.5) return absl::StrFormat("%.0f us", us);
  if (us < 999'500) return absl::StrCat(ThreeDigits(us / 1e3), " ms");
  return absl::StrCat(ThreeDigits(us / 1e6), " s");
}

std::string CountText(uint64_t count) {
  if (count < 1000) return absl::StrCat(count);
  return absl::StrCat(CountText(count / 1000), ",", absl::Dec(count % 1000, absl::kZeroPad3));
}

std::string RateText(double per_s) {
  return per_s < 99.95 ? ThreeDigits(per_s) : CountText(static_cast<uint64_t>(std::llround(per_s)));
}

std::string BytesText(double bytes) {
  if (bytes < 1023.5) return absl::StrFormat("%.0f B", bytes);
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (bytes /= 1024; bytes >= 1023.5 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024;
  return absl::StrCat(ThreeDigits(bytes), " ", kUnits[unit]);
}

std::string ShareText(double share) {
  return absl::StrFormat("%.1f %%", 100 * share);
}

}  // namespace trunkload

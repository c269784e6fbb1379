#include "controller/plan/setup_check.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/plan/plan_text.h"

namespace trunkload {
namespace {

constexpr char kSteps[] = "dtgGvpf ";
// More of them is a slip of the pen.
constexpr size_t kMostSteps = 100;
// What PostgreSQL keeps of a name.
constexpr size_t kLongestName = 63;

class SetupCheck {
 public:
  explicit SetupCheck(const v1::Setup& setup) : setup_(setup) {}

  std::vector<PlanMistake> Run() && {
    if (setup_.workload() == v1::WORKLOAD_PGBENCH) {
      Pgbench();
    } else {
      Users();
    }
    return std::move(mistakes_);
  }

 private:
  template <typename... Parts>
  void Wrong(const std::string& field, const Parts&... what) {
    mistakes_.push_back({FieldPath("setup", field), absl::StrCat(what...)});
  }

  void Pgbench() {
    if (setup_.rows() > 0) {
      Wrong("rows", "only for workload users; expected a scale, of which each unit is 100,000 accounts");
    }
    const std::string& steps = setup_.steps();
    const size_t unknown = steps.find_first_not_of(kSteps);
    if (unknown != std::string::npos) {
      Wrong("steps", QuotedText(steps.substr(unknown, 1)),
            " is no step; expected letters of d, t, g, G, v, p and f (see the plan reference)");
    } else if (steps.find_first_not_of(' ') == std::string::npos || steps.size() > kMostSteps) {
      Wrong("steps", "expected 1 to ", kMostSteps, " letters of d, t, g, G, v, p and f");
    }
    const bool step = steps.find('f') != std::string::npos;
    if ((step || setup_.foreign_keys()) && setup_.distribution() == v1::DISTRIBUTION_CITUS &&
        setup_.distribute_by() != v1::DISTRIBUTE_BY_REFERENCE) {
      Wrong(setup_.foreign_keys() ? "foreign_keys" : "steps",
            "Citus can't hold foreign keys as the tables are distributed; expected distribute_by: reference");
    }
    Name("tablespace", setup_.tablespace());
    Name("index_tablespace", setup_.index_tablespace());
  }

  void Name(const std::string& field, const std::string& name) {
    if (name.size() > kLongestName || name.find('\0') != std::string::npos) {
      Wrong(field, "can't be a tablespace's name; expected at most ", kLongestName, " bytes without NUL");
    }
  }

  void Users() {
    const std::pair<const char*, bool> only_pgbench[] = {
        {"unlogged", setup_.unlogged()},
        {"foreign_keys", setup_.foreign_keys()},
        {"partitions", setup_.partitions() > 0},
        {"tablespace", !setup_.tablespace().empty()},
        {"index_tablespace", !setup_.index_tablespace().empty()}};
    for (const auto& [field, set] : only_pgbench) {
      if (set) Wrong(field, "only for workload pgbench; expected none");
    }
  }

  const v1::Setup& setup_;
  std::vector<PlanMistake> mistakes_;
};

}  // namespace

std::vector<PlanMistake> CheckSetup(const v1::Setup& setup) {
  return SetupCheck(setup).Run();
}

}  // namespace trunkload

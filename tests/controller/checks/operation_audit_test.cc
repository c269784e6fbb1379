#include "controller/checks/operation_audit.h"

#include <random>

#include "gtest/gtest.h"

namespace trunkload {
namespace {

using Outcome = Ledger::Outcome;

// What a database that keeps its promises has, of clients whose operations end in any way.
class HonestDatabase {
 public:
  explicit HonestDatabase(uint64_t seed) : random_(seed) {
    for (uint64_t writer = 0; writer < 5; ++writer) {
      const uint64_t operations = 1 + random_() % 300;
      for (uint64_t i = 1; i <= operations; ++i) {
        const uint64_t drawn = random_() % 20;
        const Outcome outcome = drawn == 0   ? Outcome::kRefused
                                : drawn == 1 ? Outcome::kLost
                                             : Outcome::kAcknowledged;
        ledger.Record(writer, i, outcome);
        const bool committed =
            outcome == Outcome::kAcknowledged || (outcome == Outcome::kLost && random_() % 2 == 0);
        if (!committed) continue;
        found[writer].there.Add(i);
        if (outcome == Outcome::kLost) ++lost_committed;
      }
    }
  }
  // Of writer 2, one with that outcome.
  uint64_t Any(Outcome outcome) {
    while (true) {
      const uint64_t writer_operations = ledger.writers().at(2)->ended.size();
      const uint64_t drawn = 1 + random_() % writer_operations;
      const Ledger::Writer& writer = *ledger.writers().at(2);
      const Outcome is = writer.refused.contains(drawn) ? Outcome::kRefused
                         : writer.lost.contains(drawn)  ? Outcome::kLost
                                                        : Outcome::kAcknowledged;
      if (is == outcome) return drawn;
    }
  }

  Ledger ledger;
  std::map<uint64_t, FoundOperations> found;
  uint64_t lost_committed = 0;

 private:
  std::mt19937_64 random_;
};

TEST(OperationAuditTest, FindsNothingInAThousandHonestDatabases) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const HonestDatabase database(seed);
    const OperationAudit audit = Audit(database.ledger, database.found);
    for (const auto* const wrong : {&audit.missing, &audit.ghosts, &audit.broken, &audit.untold})
      EXPECT_EQ(OperationAudit::Count(*wrong), 0u) << seed;
    EXPECT_EQ(audit.lost_committed, database.lost_committed) << seed;
  }
}

TEST(OperationAuditTest, FindsEachLieByItsNumber) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    HonestDatabase database(seed);
    if (database.ledger.writers().at(2)->refused.empty()) continue;
    const uint64_t deleted = database.Any(Outcome::kAcknowledged);
    const uint64_t kept = database.Any(Outcome::kRefused);
    uint64_t doubled = deleted;
    while (doubled == deleted) doubled = database.Any(Outcome::kAcknowledged);
    FoundOperations& of_table = database.found[2];
    RangeSet one;
    one.Add(deleted);
    of_table.there = of_table.there.Minus(one);
    of_table.there.Add(kept);
    of_table.broken.Add(doubled);
    of_table.there.Add(100'000);
    const OperationAudit audit = Audit(database.ledger, database.found);
    EXPECT_EQ(audit.missing.at(2).ranges(), (std::vector<RangeSet::Range>{{deleted, deleted}}));
    EXPECT_EQ(audit.ghosts.at(2).ranges(), (std::vector<RangeSet::Range>{{kept, kept}}));
    EXPECT_EQ(audit.broken.at(2).ranges(), (std::vector<RangeSet::Range>{{doubled, doubled}}));
    EXPECT_EQ(audit.untold.at(2).ranges(), (std::vector<RangeSet::Range>{{100'000, 100'000}}));
  }
}

TEST(OperationAuditTest, AWriterThatTheTableDoesNotHaveLacksAll) {
  Ledger ledger;
  for (uint64_t i = 1; i <= 10; ++i) ledger.Record(9, i, i == 3 ? Outcome::kLost : Outcome::kAcknowledged);
  const OperationAudit audit = Audit(ledger, {});
  EXPECT_EQ(audit.missing.at(9).ranges(), (std::vector<RangeSet::Range>{{1, 2}, {4, 10}}));
}

}  // namespace
}  // namespace trunkload

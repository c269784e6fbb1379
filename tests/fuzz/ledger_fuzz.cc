#include <cstdint>

#include "common/ledger.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  trunkload::v1::Ledger proto;
  if (!proto.ParseFromArray(data, static_cast<int>(size))) return 0;
  if (!trunkload::Ledger::Check(proto).ok()) return 0;
  trunkload::Ledger ledger;
  ledger.Merge(proto);
  uint64_t ended = 0;
  for (const auto& [number, writer] : ledger.writers()) {
    ended += writer->ended.size();
    FUZZ_CHECK(writer->ended.Contains(writer->refused) && writer->ended.Contains(writer->lost), number);
  }
  FUZZ_CHECK(ledger.acknowledged() + ledger.refused() + ledger.lost() == ended, ended);
  const trunkload::v1::Ledger again = ledger.ToProto();
  FUZZ_CHECK(trunkload::Ledger::Check(again).ok(), again.ShortDebugString());
  // What is told once more changes nothing.
  ledger.Merge(again);
  FUZZ_CHECK(ledger.ToProto().SerializeAsString() == again.SerializeAsString(), again.ShortDebugString());
  return 0;
}

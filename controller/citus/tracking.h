#pragma once

#include <string>

#include "absl/status/status.h"
#include "controller/database.h"

namespace trunkload {

// What a server counts of statements and tenants only where its settings ask for it. Turned on for an
// observed phase, and put back after it: what was there before is kept in the server's own configuration, as
// the setting trunkload.tracking_before, so that whoever comes next finds it where the one who turned it on
// has died. A lock that the connection holds tells such a one from one that is at work. Each function is for
// the connection of now, and blocks; not thread-safe.
class Tracking {
 public:
  // Somebody has turned it on, and is not there any more: it is on. A connection that was opened anew looks
  // first.
  absl::Status Find(Database& database);
  // What the server has of it; changes nothing where all of that is on. FAILED_PRECONDITION, with a sentence,
  // where somebody else has turned it on, or some of it stays off, because only a superuser may turn it on or
  // for another reason.
  absl::Status TurnOn(Database& database);
  // It is on after an error.
  absl::Status PutBack(Database& database);
  // As far as it can be; until it is put back.
  bool on() const { return on_; }

 private:
  absl::Status Lock(Database& database);
  // Turns on what before_ names.
  absl::Status Change(Database& database);

  bool on_ = false;
  // As the setting holds it; empty: nothing was changed.
  std::string before_;
};

}  // namespace trunkload

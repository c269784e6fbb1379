#pragma once

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/script/script.h"

namespace trunkload {

// Where one client is in a script. Not thread-safe.
class ScriptCursor {
 public:
  // `script` must outlive it.
  explicit ScriptCursor(const Script& script) : script_(&script) {}

  // Does what needs nobody else, \set and the branches, up to the next command that does: a statement, a
  // sleep, a command of the shell or of a pipeline. Null behind the last. INVALID_ARGUMENT or
  // FAILED_PRECONDITION, with the place, where an expression has no value.
  // `done` is told each of those that need nobody else, when it is done.
  absl::StatusOr<const Command*> Next(const Evaluation& evaluation,
                                      absl::FunctionRef<void(const Command&)> done);
  absl::StatusOr<const Command*> Next(const Evaluation& evaluation) {
    return Next(evaluation, [](const Command&) {});
  }

 private:
  const Script* script_;
  size_t next_ = 0;
};

}  // namespace trunkload

#include "common/script/script.h"

namespace trunkload {

void SqlStatement::Substitute(const Variables& variables, std::string& to) const {
  const std::string_view all = text;
  char buffer[kValueTextBytes];
  size_t done = 0;
  for (const Use& use : uses) {
    // What nobody defined stays as it is.
    if (!variables.defined(use.variable)) continue;
    to.append(all.substr(done, use.offset - done));
    to.append(variables.Text(use.variable, buffer));
    done = use.offset + use.length;
  }
  to.append(all.substr(done));
}

absl::Status Script::CheckRunnable(const Allowed& allowed) const {
  for (const Command& command : commands) {
    if (!allowed.shell && std::holds_alternative<ShellCommand>(command.action)) {
      return source.Wrong(command.offset,
                          "this agent runs no commands of the shell: start it with --allow-shell if it may");
    }
    if (!allowed.pipelines && std::holds_alternative<PipelineCommand>(command.action)) {
      return source.Wrong(command.offset,
                          "the simple protocol has no pipelines: set query_mode to extended or prepared");
    }
  }
  return absl::OkStatus();
}

}  // namespace trunkload

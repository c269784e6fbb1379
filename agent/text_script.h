#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/pq_connection.h"
#include "common/script/script.h"
#include "common/script/variables.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// A script in pgbench's language, how its statements are sent, and what becomes of its transactions that
// fail. Sending a statement fills in buffers that are made once. Not thread-safe: the buffers are used again
// by the next one.
class TextScript {
 public:
  // `parsed` is script.text(), number `number` of the assignment, with variables of `names`. Its statements
  // get the marks of a connection (see PqConnection::marks) from `first_mark` on, one for each command,
  // where they are to be prepared.
  TextScript(Script parsed, const v1::Script& script, VariableNames& names, uint32_t number,
             size_t first_mark);

  const Script& script() const { return script_; }
  uint32_t number() const { return number_; }
  // 0: no limit.
  uint32_t max_tries() const { return max_tries_; }
  bool continue_on_error() const { return continue_on_error_; }
  bool per_command() const { return per_command_; }
  // The variable that holds its distribution key; none where it has none.
  bool has_key() const { return key_.has_value(); }
  const std::optional<uint32_t>& key() const { return key_; }
  // What comes of each of its transactions is written down.
  bool recorded() const { return recorded_.has_value(); }
  // The variables of such a script: who sends the transaction, and which it is; and where it looks for what
  // ought to be there, what was expected, what was seen, and at what.
  struct Recorded {
    uint32_t writer;
    uint32_t operation;
    uint32_t expected;
    uint32_t seen;
    uint32_t key;
  };
  const Recorded& recorded_variables() const { return *recorded_; }
  bool simple() const { return mode_ == v1::QUERY_MODE_SIMPLE; }
  size_t IndexOf(const Command& command) const {
    return static_cast<size_t>(&command - script_.commands.data());
  }

  // What its variables are at the start of each transaction.
  void SetVariables(Variables& variables) const {
    for (const auto& [number, text] : variables_) variables.SetText(number, text);
  }

  // Whether the connection has to prepare the command's statement before it can be sent.
  bool NeedsPreparing(PqConnection& connection, const Command& command) const;
  // The first command of the pipeline that starts there whose statement has to be prepared ahead of it; null:
  // none.
  const Command* NeedsPreparingInPipeline(PqConnection& connection, const Command& start) const;
  // False where that broke the connection; then, when it is done, SetPrepared.
  bool Prepare(PqConnection& connection, const Command& command) const;
  void SetPrepared(PqConnection& connection, const Command& command) const;
  // Sends the statement of a command; false where that broke the connection.
  bool Send(PqConnection& connection, const Command& command, const Variables& variables);

 private:
  bool IsPrepared(PqConnection& connection, const Command& command) const;

  const Script script_;
  const uint32_t number_;
  const v1::QueryMode mode_;
  const uint32_t max_tries_;
  const bool continue_on_error_;
  const bool per_command_;
  const size_t first_mark_;
  const std::optional<uint32_t> key_;
  std::optional<Recorded> recorded_;
  std::vector<std::pair<uint32_t, std::string>> variables_;
  std::vector<Statement> statements_;
  // Of one statement.
  std::string text_;
  std::vector<std::array<char, kValueTextBytes + 1>> buffers_;
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
};

}  // namespace trunkload

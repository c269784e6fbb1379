#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/script/expression.h"
#include "common/script/source.h"
#include "common/script/variables.h"

namespace trunkload {

// A statement with variables in it.
struct SqlStatement {
  // Where a variable is written, colon and all.
  struct Use {
    size_t offset;
    size_t length;
    uint32_t variable;
  };

  // As written: for the simple protocol, in which the text of each variable that is defined takes its place.
  std::string text;
  std::vector<Use> uses;
  // With $1, $2 … for the uses, in their order: for the extended protocol.
  std::string numbered;

  // Appends the text with the variables' texts in it. Allocates nothing where `to` has room.
  void Substitute(const Variables& variables, std::string& to) const;
};

struct SqlCommand {
  // What becomes of rows that come back: thrown away; the only row of the last query (\gset), or the last row
  // of each query (\aset), into variables named for its columns.
  enum class Rows : uint8_t { kIgnored, kGset, kAset };

  SqlStatement statement;
  Rows rows = Rows::kIgnored;
  std::string prefix;  // of those variables' names
};

struct SetCommand {
  uint32_t variable;
  Expression expression;
};

// \if and \elif: goes on at command number `otherwise` unless the expression is true.
struct IfCommand {
  Expression expression;
  size_t otherwise = 0;
};

// The end of a branch: goes on behind the \endif.
struct JumpCommand {
  size_t to = 0;
};

struct SleepCommand {
  // How many, unless a variable says so.
  int64_t count = 0;
  std::optional<uint32_t> variable;
  std::chrono::microseconds unit{1'000'000};
};

// \shell and, where there is a variable, \setshell.
struct ShellCommand {
  std::optional<uint32_t> result;
  // Each a text or a variable; joined by blanks they are the command.
  std::vector<std::variant<std::string, uint32_t>> words;
};

enum class PipelineCommand : uint8_t { kStart, kSync, kEnd };

struct Command {
  size_t offset = 0;  // where it begins in the source
  std::variant<SqlCommand, SetCommand, IfCommand, JumpCommand, SleepCommand, ShellCommand, PipelineCommand>
      action;
};

// A parsed and checked script of pgbench's language: one transaction. Thread-safe once made.
struct Script {
  ScriptSource source;
  std::vector<Command> commands;

  // INVALID_ARGUMENT, with the place, for the first command that is refused where it is to run: of the shell,
  // unless those are allowed; of a pipeline, where statements are sent by the simple protocol.
  struct Allowed {
    bool shell = false;
    bool pipelines = true;
  };
  absl::Status CheckRunnable(const Allowed& allowed) const;
};

}  // namespace trunkload

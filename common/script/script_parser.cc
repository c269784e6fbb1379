#include "common/script/script_parser.h"

#include <charconv>
#include <span>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/script/expression_parser.h"
#include "common/script/sql_lexer.h"

namespace trunkload {
namespace {

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

bool IsSpace(char c) {
  return absl::ascii_isspace(static_cast<unsigned char>(c));
}

// How long a break that continues a meta command's line is, where one is here.
size_t Continuation(std::string_view text, size_t at) {
  const std::string_view rest = text.substr(at);
  return rest.starts_with("\\\n") ? 2 : rest.starts_with("\\\r\n") ? 3 : 0;
}

struct Word {
  size_t offset;
  std::string_view text;

  size_t end() const { return offset + text.size(); }
};

bool Is(const Word& word, absl::string_view other) {
  return absl::EqualsIgnoreCase(View(word.text), other);
}

// Where the comments and blanks that a statement begins with end.
size_t SkipComments(std::string_view sql) {
  size_t at = 0;
  while (at < sql.size()) {
    if (IsSpace(sql[at])) {
      ++at;
    } else if (sql.substr(at).starts_with("--")) {
      at = std::min(sql.find('\n', at), sql.size());
    } else {
      break;
    }
  }
  return at;
}

class Parser {
 public:
  Parser(ScriptSource source, VariableNames& names)
      : script_{std::move(source), {}}, names_(names), lexer_(script_.source.text()) {}
  // The lexer reads what the script holds.
  Parser(const Parser&) = delete;

  absl::StatusOr<Script> Parse() {
    SqlLexer::End end;
    do {
      SqlLexer::Statement statement = lexer_.Next();
      end = statement.end;
      if (absl::Status status = AddSql(std::move(statement)); !status.ok()) return status;
      if (end != SqlLexer::End::kBackslash) continue;
      if (absl::Status status = AddMeta(lexer_.at()); !status.ok()) return status;
    } while (end != SqlLexer::End::kText);
    if (!branches_.empty()) return Wrong(branches_.back().offset, "\\if without its \\endif");
    if (script_.commands.empty()) return Wrong(0, "the script has no command");
    return std::move(script_);
  }

 private:
  // A \if whose \endif has not come.
  struct Branch {
    size_t offset;
    // The command to which its last condition, where that is false, still has to lead.
    std::optional<size_t> open_if;
    // The ends of its branches, which lead behind the \endif.
    std::vector<size_t> ends;
  };

  absl::Status Wrong(size_t offset, std::string_view what) const {
    return script_.source.Wrong(offset, what);
  }

  size_t Add(size_t offset, decltype(Command::action) action) {
    script_.commands.push_back({offset, std::move(action)});
    return script_.commands.size() - 1;
  }

  // --- Statements.

  absl::Status AddSql(SqlLexer::Statement statement) {
    const size_t skipped = SkipComments(statement.sql);
    if (skipped == statement.sql.size()) return absl::OkStatus();
    SqlCommand command;
    command.statement.text = statement.sql.substr(skipped);
    if (absl::Status status = FindUses(statement.offset + skipped, command.statement); !status.ok())
      return status;
    last_sql_ = Add(statement.offset + skipped, std::move(command));
    return absl::OkStatus();
  }

  // Variables count in literals and comments too. More than one colon is no variable's.
  absl::Status FindUses(size_t offset, SqlStatement& statement) {
    const std::string_view text = statement.text;
    size_t copied = 0;
    size_t at = text.find(':');
    while (at != std::string_view::npos) {
      size_t end = at + 1;
      if (end < text.size() && VariableNames::IsStart(text[end])) {
        while (end < text.size() && VariableNames::IsPart(text[end])) ++end;
        statement.uses.push_back({at, end - at, names_.Number(text.substr(at + 1, end - at - 1))});
        if (statement.uses.size() > kMostVariablesOfAStatement) {
          return Wrong(offset + at, absl::StrCat("a statement can't use more than ",
                                                 kMostVariablesOfAStatement, " variables"));
        }
        statement.numbered.append(text.substr(copied, at - copied));
        absl::StrAppend(&statement.numbered, "$", statement.uses.size());
        copied = end;
      } else {
        while (end < text.size() && text[end] == ':') ++end;
      }
      at = text.find(':', end);
    }
    statement.numbered.append(text.substr(copied));
    return absl::OkStatus();
  }

  // --- Meta commands.

  // The end of the line that goes on behind a backslash at `from`; it may be continued.
  size_t LineEnd(size_t from) const {
    const std::string_view text = script_.source.text();
    for (size_t at = from; at < text.size();) {
      if (const size_t length = Continuation(text, at); length > 0) {
        at += length;
      } else if (text[at] == '\n') {
        return at;
      } else {
        ++at;
      }
    }
    return text.size();
  }

  std::vector<Word> Words(size_t from, size_t to) const {
    const std::string_view text = script_.source.text().substr(0, to);
    std::vector<Word> words;
    bool inside = false;
    for (size_t at = from; at < to;) {
      const size_t continuation = Continuation(text, at);
      if (continuation > 0 || IsSpace(text[at])) {
        inside = false;
        at += continuation > 0 ? continuation : 1;
        continue;
      }
      if (!inside) words.push_back({at, text.substr(at, 0)});
      inside = true;
      words.back().text = text.substr(words.back().offset, ++at - words.back().offset);
    }
    return words;
  }

  absl::Status AddMeta(size_t from) {
    const size_t end = LineEnd(from);
    lexer_.MoveTo(end);
    const std::vector<Word> words = Words(from, end);
    // A backslash by itself is nothing, to pgbench too.
    if (words.empty()) return absl::OkStatus();
    const Word& name = words[0];
    const std::span<const Word> arguments(words.begin() + 1, words.end());
    const size_t offset = from - 1;
    const std::optional<size_t> sql = std::exchange(last_sql_, std::nullopt);
    if (Is(name, "set")) return Set(offset, name, arguments, end);
    if (Is(name, "if")) return If(offset, name, end);
    if (Is(name, "elif")) return Elif(offset, name, end);
    if (Is(name, "else")) return Else(offset, arguments);
    if (Is(name, "endif")) return Endif(offset, arguments);
    if (Is(name, "gset")) return TakeRows(sql, offset, SqlCommand::Rows::kGset, arguments);
    if (Is(name, "aset")) return TakeRows(sql, offset, SqlCommand::Rows::kAset, arguments);
    if (Is(name, "sleep")) return Sleep(offset, name, arguments);
    if (Is(name, "setshell")) return Setshell(offset, name, arguments);
    if (Is(name, "shell")) return Shell(offset, name, arguments, std::nullopt);
    if (Is(name, "startpipeline")) return Pipeline(offset, PipelineCommand::kStart, arguments);
    if (Is(name, "syncpipeline")) return Pipeline(offset, PipelineCommand::kSync, arguments);
    if (Is(name, "endpipeline")) return Pipeline(offset, PipelineCommand::kEnd, arguments);
    return Wrong(offset, absl::StrCat("there is no command \"\\", View(name.text), "\""));
  }

  static std::string_view NoMore() { return "unexpected argument"; }

  absl::Status Missing(const Word& after, absl::string_view what) const {
    return Wrong(after.end(), absl::StrCat("expected ", what));
  }

  absl::StatusOr<uint32_t> Name(const Word& word) {
    for (size_t i = 0; i < word.text.size(); ++i) {
      if (!(i == 0 ? VariableNames::IsStart(word.text[i]) : VariableNames::IsPart(word.text[i]))) {
        return Wrong(word.offset + i, absl::StrCat("\"", View(word.text), "\" can't be a variable's name"));
      }
    }
    return names_.Number(word.text);
  }

  absl::Status Set(size_t offset, const Word& command, std::span<const Word> arguments, size_t end) {
    if (arguments.empty()) return Missing(command, "a variable and an expression");
    const absl::StatusOr<uint32_t> variable = Name(arguments[0]);
    if (!variable.ok()) return variable.status();
    absl::StatusOr<Expression> expression = ParseExpression(script_.source, arguments[0].end(), end, names_);
    if (!expression.ok()) return expression.status();
    Add(offset, SetCommand{*variable, *std::move(expression)});
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> Condition(size_t offset, const Word& command, size_t end) {
    absl::StatusOr<Expression> expression = ParseExpression(script_.source, command.end(), end, names_);
    if (!expression.ok()) return expression.status();
    return Add(offset, IfCommand{*std::move(expression)});
  }

  absl::Status If(size_t offset, const Word& command, size_t end) {
    const absl::StatusOr<size_t> condition = Condition(offset, command, end);
    if (!condition.ok()) return condition.status();
    branches_.push_back({offset, *condition, {}});
    return absl::OkStatus();
  }

  // The branch before ends here; its condition, where it is false, leads to what comes next.
  absl::Status EndBranch(size_t offset, absl::string_view command) {
    if (branches_.empty()) return Wrong(offset, absl::StrCat(command, " without its \\if"));
    Branch& branch = branches_.back();
    if (!branch.open_if.has_value()) return Wrong(offset, absl::StrCat(command, " after \\else"));
    branch.ends.push_back(Add(offset, JumpCommand{}));
    LandHere(*branch.open_if);
    branch.open_if.reset();
    return absl::OkStatus();
  }

  void LandHere(size_t condition) {
    std::get<IfCommand>(script_.commands[condition].action).otherwise = script_.commands.size();
  }

  absl::Status Elif(size_t offset, const Word& command, size_t end) {
    if (absl::Status status = EndBranch(offset, "\\elif"); !status.ok()) return status;
    const absl::StatusOr<size_t> condition = Condition(offset, command, end);
    if (!condition.ok()) return condition.status();
    branches_.back().open_if = *condition;
    return absl::OkStatus();
  }

  absl::Status Else(size_t offset, std::span<const Word> arguments) {
    if (!arguments.empty()) return Wrong(arguments[0].offset, NoMore());
    return EndBranch(offset, "\\else");
  }

  absl::Status Endif(size_t offset, std::span<const Word> arguments) {
    if (!arguments.empty()) return Wrong(arguments[0].offset, NoMore());
    if (branches_.empty()) return Wrong(offset, "\\endif without its \\if");
    const Branch& branch = branches_.back();
    if (branch.open_if.has_value()) LandHere(*branch.open_if);
    for (const size_t jump : branch.ends) {
      std::get<JumpCommand>(script_.commands[jump].action).to = script_.commands.size();
    }
    branches_.pop_back();
    return absl::OkStatus();
  }

  absl::Status TakeRows(std::optional<size_t> sql, size_t offset, SqlCommand::Rows rows,
                        std::span<const Word> arguments) {
    if (arguments.size() > 1) return Wrong(arguments[1].offset, NoMore());
    if (!sql.has_value()) return Wrong(offset, "this must follow an SQL command");
    SqlCommand& command = std::get<SqlCommand>(script_.commands[*sql].action);
    command.rows = rows;
    if (!arguments.empty()) command.prefix = arguments[0].text;
    return absl::OkStatus();
  }

  absl::Status Sleep(size_t offset, const Word& command, std::span<const Word> arguments) {
    if (arguments.empty()) return Missing(command, "for how long");
    if (arguments.size() > 2) return Wrong(arguments[2].offset, NoMore());
    SleepCommand sleep;
    const Word& time = arguments[0];
    Word unit = arguments.size() > 1 ? arguments[1] : Word{time.end(), "s"};
    if (time.text[0] == ':') {
      const absl::StatusOr<uint32_t> variable = Name({time.offset + 1, time.text.substr(1)});
      if (!variable.ok()) return variable.status();
      sleep.variable = *variable;
    } else {
      const char* const begin = time.text.data();
      const char* const end = begin + time.text.size();
      const auto [rest, error] = std::from_chars(begin + (*begin == '+' ? 1 : 0), end, sleep.count);
      if (error != std::errc()) return Wrong(time.offset, "a time to sleep is a whole number, or a variable");
      if (rest != end) {
        // "10ms", without a blank.
        const auto digits = static_cast<size_t>(rest - begin);
        unit = {time.offset + digits, time.text.substr(digits)};
        if (arguments.size() > 1)
          return Wrong(unit.offset, "a time to sleep is a whole number, or a variable");
      }
    }
    if (Is(unit, "us")) {
      sleep.unit = std::chrono::microseconds(1);
    } else if (Is(unit, "ms")) {
      sleep.unit = std::chrono::milliseconds(1);
    } else if (!Is(unit, "s")) {
      return Wrong(unit.offset, absl::StrCat("expected us, ms or s, not \"", View(unit.text), "\""));
    }
    Add(offset, sleep);
    return absl::OkStatus();
  }

  absl::Status Setshell(size_t offset, const Word& command, std::span<const Word> arguments) {
    if (arguments.empty()) return Missing(command, "a variable and a command of the shell");
    const absl::StatusOr<uint32_t> variable = Name(arguments[0]);
    if (!variable.ok()) return variable.status();
    return Shell(offset, arguments[0], arguments.subspan(1), *variable);
  }

  absl::Status Shell(size_t offset, const Word& before, std::span<const Word> arguments,
                     std::optional<uint32_t> result) {
    if (arguments.empty()) return Missing(before, "a command of the shell");
    ShellCommand shell{.result = result, .words = {}};
    for (const Word& word : arguments) {
      if (word.text[0] != ':') {
        shell.words.emplace_back(std::string(word.text));
      } else if (word.text.substr(1).starts_with(":")) {
        shell.words.emplace_back(std::string(word.text.substr(1)));
      } else {
        const absl::StatusOr<uint32_t> variable = Name({word.offset + 1, word.text.substr(1)});
        if (!variable.ok()) return variable.status();
        shell.words.emplace_back(*variable);
      }
    }
    Add(offset, std::move(shell));
    return absl::OkStatus();
  }

  absl::Status Pipeline(size_t offset, PipelineCommand command, std::span<const Word> arguments) {
    if (!arguments.empty()) return Wrong(arguments[0].offset, NoMore());
    Add(offset, command);
    return absl::OkStatus();
  }

  Script script_;
  VariableNames& names_;
  SqlLexer lexer_;
  std::vector<Branch> branches_;
  // The statement that the last command was, for a \gset behind it.
  std::optional<size_t> last_sql_;
};

}  // namespace

absl::StatusOr<Script> ParseScript(ScriptSource source, VariableNames& names) {
  return Parser(std::move(source), names).Parse();
}

}  // namespace trunkload

#include "common/script/script_parser.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class ScriptParserTest : public testing::Test {
 protected:
  absl::StatusOr<Script> Parse(const std::string& text) {
    return ParseScript(ScriptSource("t.sql", text), names_);
  }

  // Each command in a few words.
  std::vector<std::string> Commands(const std::string& text) {
    const absl::StatusOr<Script> script = Parse(text);
    if (!script.ok()) return {std::string(script.status().message())};
    std::vector<std::string> shown;
    for (const Command& command : script->commands) shown.push_back(std::visit(*this, command.action));
    return shown;
  }

  std::string Mistake(const std::string& text) { return std::string(Parse(text).status().message()); }

 public:
  std::string operator()(const SqlCommand& sql) const {
    const char* rows[] = {"", " gset ", " aset "};
    return absl::StrCat(sql.statement.text, rows[static_cast<int>(sql.rows)], sql.prefix);
  }
  std::string operator()(const SetCommand& set) const { return "set " + names_.name(set.variable); }
  std::string operator()(const IfCommand& branch) const { return absl::StrCat("else ", branch.otherwise); }
  std::string operator()(const JumpCommand& jump) const { return absl::StrCat("to ", jump.to); }
  std::string operator()(const SleepCommand& sleep) const {
    return absl::StrCat("sleep ",
                        sleep.variable ? ":" + names_.name(*sleep.variable) : absl::StrCat(sleep.count),
                        " x ", sleep.unit.count());
  }
  std::string operator()(const ShellCommand& shell) const {
    std::string shown = shell.result ? "setshell " + names_.name(*shell.result) : "shell";
    for (const auto& word : shell.words) {
      const auto* text = std::get_if<std::string>(&word);
      absl::StrAppend(&shown, " ", text ? *text : "<" + names_.name(std::get<uint32_t>(word)) + ">");
    }
    return shown;
  }
  std::string operator()(PipelineCommand command) const {
    return absl::StrCat("pipeline ", static_cast<int>(command));
  }

 protected:
  VariableNames names_;
};

TEST_F(ScriptParserTest, StatementsEndAtSemicolonsOfTheirOwn) {
  EXPECT_THAT(Commands("SELECT 1; SELECT 2;\nSELECT 3"), ElementsAre("SELECT 1;", "SELECT 2;", "SELECT 3"));
  EXPECT_THAT(
      Commands("SELECT ';', \"a;b\", $$;$$, $x$;$$;$x$, E'\\';', 'it''s;' /* ; /* ; */ ; */; x"),
      ElementsAre("SELECT ';', \"a;b\", $$;$$, $x$;$$;$x$, E'\\';', 'it''s;' /* ; /* ; */ ; */;", "x"));
  EXPECT_THAT(Commands("CREATE RULE r AS ON INSERT TO t DO (a; b); c"),
              ElementsAre("CREATE RULE r AS ON INSERT TO t DO (a; b);", "c"));
  EXPECT_THAT(
      Commands("CREATE OR REPLACE FUNCTION f() BEGIN ATOMIC a; CASE x END; END; b; begin; c"),
      ElementsAre("CREATE OR REPLACE FUNCTION f() BEGIN ATOMIC a; CASE x END; END;", "b;", "begin;", "c"));
  EXPECT_THAT(Commands("-- nothing;\n  SELECT 1 -- ;\n ;;"), ElementsAre("SELECT 1 -- ;\n ;", ";"));
  EXPECT_THAT(Commands("SELECT 1 \\; SELECT 2;"), ElementsAre("SELECT 1 ; SELECT 2;"));
}

TEST_F(ScriptParserTest, VariablesAreFoundEverywhereButBehindTwoColons) {
  const absl::StatusOr<Script> script = Parse("SELECT :a, ':b' || :a::text, x::int, :1, 1:c");
  ASSERT_TRUE(script.ok()) << script.status();
  const SqlStatement& statement = std::get<SqlCommand>(script->commands[0].action).statement;
  EXPECT_EQ(statement.numbered, "SELECT $1, '$2' || $3::text, x::int, :1, 1$4");
  Variables variables(names_);
  variables.Set(names_.Number("a"), Value::Integer(7));
  variables.SetText(names_.Number("c"), "see");
  std::string text;
  statement.Substitute(variables, text);
  EXPECT_EQ(text, "SELECT 7, ':b' || 7::text, x::int, :1, 1see");
}

TEST_F(ScriptParserTest, MetaCommandsMayFollowStatementsAndGoOverLines) {
  EXPECT_THAT(Commands("SELECT 1 AS one \\gset p_\n\\SET x :p_one + \\\n 1\n\\sleep 10\\\n ms\nSELECT :x"),
              ElementsAre("SELECT 1 AS one  gset p_", "set x", "sleep 10 x 1000", "SELECT :x"));
  EXPECT_THAT(
      Commands("SELECT 1\\;SELECT 2 \\aset\n\\\nBEGIN;\\startpipeline\n\\syncpipeline\n\\endpipeline"),
      ElementsAre("SELECT 1;SELECT 2  aset ", "BEGIN;", "pipeline 0", "pipeline 1", "pipeline 2"));
  EXPECT_THAT(Commands("\\sleep 2ms\n\\sleep :t us\n\\sleep +3\n\\sleep -1 S\n"),
              ElementsAre("sleep 2 x 1000", "sleep :t x 1", "sleep 3 x 1000000", "sleep -1 x 1000000"));
  EXPECT_THAT(Commands("\\shell echo :x ::y 'a  b'\n\\setshell z date +%s"),
              ElementsAre("shell echo <x> :y 'a b'", "setshell z date +%s"));
}

TEST_F(ScriptParserTest, BranchesBecomeJumps) {
  EXPECT_THAT(Commands("\\if :a\nA;\n\\elif :b\nB;\n\\else\nC;\n\\endif\nD;"),
              ElementsAre("else 3", "A;", "to 7", "else 6", "B;", "to 7", "C;", "D;"));
  EXPECT_THAT(Commands("\\if 1\n\\if 0\nA;\n\\endif\n\\endif"), ElementsAre("else 3", "else 3", "A;"));
}

TEST_F(ScriptParserTest, AMistakeIsShownWhereItIs) {
  EXPECT_EQ(Mistake("SELECT 1;\n\\set x 1 +* 2\n"),
            "t.sql:2:11: expected a value, not \"*\"\n\\set x 1 +* 2\n          ^");
  EXPECT_EQ(Mistake("\\set 1x 2"), "t.sql:1:6: \"1x\" can't be a variable's name\n\\set 1x 2\n     ^");
  EXPECT_THAT(Mistake("\\set"), StartsWith("t.sql:1:5: expected a variable and an expression"));
  EXPECT_THAT(Mistake("\\foo"), StartsWith("t.sql:1:1: there is no command \"\\foo\""));
  EXPECT_THAT(Mistake("\\if 1\nA;"), StartsWith("t.sql:1:1: \\if without its \\endif"));
  EXPECT_THAT(Mistake("\\endif"), HasSubstr("\\endif without its \\if"));
  EXPECT_THAT(Mistake("\\if 1\n\\else\n\\elif 2\n\\endif"), StartsWith("t.sql:3:1: \\elif after \\else"));
  EXPECT_THAT(Mistake("\\gset"), HasSubstr("must follow an SQL command"));
  EXPECT_THAT(Mistake("A; \\gset\n\\gset"), HasSubstr("must follow an SQL command"));
  EXPECT_THAT(Mistake("\\sleep 1 min"), AllOf(StartsWith("t.sql:1:10:"), HasSubstr("us, ms or s")));
  EXPECT_THAT(Mistake("\\sleep ms"), HasSubstr("a whole number"));
  EXPECT_THAT(Mistake("\\sleep 1 ms 2"), StartsWith("t.sql:1:13: unexpected argument"));
  EXPECT_THAT(Mistake("\\endpipeline now"), StartsWith("t.sql:1:14: unexpected argument"));
  EXPECT_THAT(Mistake(" -- nothing\n"), HasSubstr("the script has no command"));
  std::string many = "SELECT 1";
  for (int i = 0; i < 256; ++i) many += ",:a";
  EXPECT_THAT(Mistake(many), HasSubstr("more than 255 variables"));
}

}  // namespace
}  // namespace trunkload

#include "controller/plan/script_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/script/script_parser.h"
#include "controller/plan/builtin_scripts.h"
#include "controller/plan/plan_check.h"
#include "controller/plan/plan_loader.h"
#include "controller/report/json.h"

namespace trunkload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string With(const std::string& scripts) {
  return absl::StrCat("name: p\nscripts:\n", scripts,
                      "\nphases: [{name: one, duration: 1s, load: {closed: {clients: 1}}}]\n");
}

v1::Plan Parsed(const std::string& scripts) {
  const absl::StatusOr<v1::Plan> plan = ParsePlan(With(scripts), "p.yaml");
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : v1::Plan();
}

std::string ErrorOf(const absl::StatusOr<v1::Plan>& plan) {
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(plan.status().message());
}

std::string ErrorOf(const std::string& scripts) {
  return ErrorOf(ParsePlan(With(scripts), "p.yaml"));
}

std::vector<std::string> Statements(absl::string_view text) {
  VariableNames names;
  const absl::StatusOr<Script> script = ParseScript(ScriptSource("builtin", std::string(text)), names);
  EXPECT_TRUE(script.ok()) << script.status();
  std::vector<std::string> statements;
  for (const Command& command : script->commands) {
    if (const auto* sql = std::get_if<SqlCommand>(&command.action))
      statements.push_back(sql->statement.numbered);
  }
  return statements;
}

TEST(BuiltinScriptsTest, SendWhatPgbenchsDo) {
  constexpr char kUpdate[] = "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2;";
  constexpr char kSelect[] = "SELECT abalance FROM pgbench_accounts WHERE aid = $1;";
  constexpr char kInsert[] =
      "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP);";
  EXPECT_THAT(
      Statements(BuiltinText(v1::BUILTIN_TPCB_LIKE)),
      ElementsAre("BEGIN;", kUpdate, kSelect,
                  "UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2;",
                  "UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2;", kInsert, "END;"));
  EXPECT_THAT(Statements(BuiltinText(v1::BUILTIN_SIMPLE_UPDATE)),
              ElementsAre("BEGIN;", kUpdate, kSelect, kInsert, "END;"));
  EXPECT_THAT(Statements(BuiltinText(v1::BUILTIN_SELECT_ONLY)), ElementsAre(kSelect));
  EXPECT_EQ(BuiltinText(v1::BUILTIN_INSERT_COPY), "");
}

TEST(ScriptCheckTest, FillsInNamesTextsAndTheBatch) {
  const v1::Plan plan = Parsed(
      "- {builtin: tpcb-like}\n"
      "- {text: SELECT 1}\n"
      "- {builtin: insert-copy}\n"
      "- {builtin: insert-batch, variables: {batch: 7}, name: mine}\n"
      "- {file: dir/pay.in.sql, text: SELECT 2}\n"
      "- {builtin: insert-single}\n");
  EXPECT_EQ(plan.scripts(0).name(), "tpcb-like");
  EXPECT_EQ(absl::string_view(plan.scripts(0).text()), BuiltinText(v1::BUILTIN_TPCB_LIKE));
  EXPECT_FALSE(plan.scripts(0).has_keys());
  EXPECT_EQ(plan.scripts(0).query_mode(), v1::QUERY_MODE_PREPARED);
  EXPECT_EQ(plan.scripts(1).name(), "script-2");
  EXPECT_EQ(plan.scripts(2).name(), "insert-copy");
  EXPECT_EQ(plan.scripts(2).variables().at("batch"), "100");
  EXPECT_EQ(plan.scripts(2).text(), "");
  EXPECT_EQ(plan.scripts(3).name(), "mine");
  EXPECT_EQ(plan.scripts(3).variables().at("batch"), "7");
  EXPECT_EQ(plan.scripts(4).name(), "pay.in");
  EXPECT_EQ(plan.scripts(5).variables_size(), 0);
}

TEST(ScriptCheckTest, ACompletePlanStaysAsItIs) {
  const v1::Plan plan = Parsed("- {builtin: simple-update, variables: {scale: 3}}\n- {text: SELECT 1}\n");
  const absl::StatusOr<v1::Plan> valid = ValidatePlan(plan);
  ASSERT_TRUE(valid.ok()) << valid.status();
  EXPECT_EQ(valid->DebugString(), plan.DebugString());
  const absl::StatusOr<v1::Plan> again = ParsePlan(ToJson(plan), "result.json");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->DebugString(), plan.DebugString());
}

TEST(ScriptCheckTest, ExactlyOneKind) {
  EXPECT_THAT(ErrorOf("- {weight: 1}"),
              StartsWith("p.yaml:3:3: scripts.0: no script; expected one of builtin, file and text"));
  EXPECT_THAT(ErrorOf("- {builtin: select-only, text: SELECT 1}"),
              StartsWith("p.yaml:3:32: scripts.0.text: excludes builtin, which is there, too"));
  EXPECT_THAT(ErrorOf("- {builtin: insert-copy, text: SELECT 1}"),
              HasSubstr("scripts.0.text: excludes builtin"));
  EXPECT_THAT(ErrorOf("- {builtin: select-only, file: x.sql}"),
              HasSubstr("scripts.0.file: excludes builtin"));
  EXPECT_THAT(
      ErrorOf("- {file: x.sql}"),
      StartsWith("p.yaml:3:10: scripts.0.file: its text is missing: a controller reads no files of others"));
}

TEST(ScriptCheckTest, APlanFromElsewhereBringsItsTexts) {
  v1::Plan plan = Parsed("- {text: SELECT 1}");
  plan.mutable_scripts(0)->clear_text();
  plan.mutable_scripts(0)->set_file("/etc/passwd");
  EXPECT_THAT(ErrorOf(ValidatePlan(plan)), StartsWith("scripts.0.file: its text is missing"));
  plan.mutable_scripts(0)->set_text("SELECT 2");
  const absl::StatusOr<v1::Plan> valid = ValidatePlan(plan);
  ASSERT_TRUE(valid.ok()) << valid.status();
  EXPECT_EQ(valid->scripts(0).text(), "SELECT 2");
}

TEST(ScriptCheckTest, AMistakeInATextShowsItsLine) {
  EXPECT_EQ(ErrorOf("- text: |\n    SELECT 1;\n    \\sleep x ms\n"),
            "p.yaml:3:9: scripts.0.text:2:8: a time to sleep is a whole number, or a variable\n"
            "    \\sleep x ms\n"
            "           ^");
  EXPECT_EQ(ErrorOf("- {text: \"SELECT 1;\\n\\\\sleep x\", file: a/b.sql}"),
            "p.yaml:3:40: scripts.0.file: a/b.sql:2:8: a time to sleep is a whole number, or a variable\n"
            "    \\sleep x\n"
            "           ^");
  EXPECT_THAT(ErrorOf("- {text: \"-- nothing\"}"),
              StartsWith("p.yaml:3:10: scripts.0.text:1:1: the script has no command"));
  EXPECT_THAT(ErrorOf("- {text: \"\\\\sleep \\e[31m\"}"), HasSubstr("\n    \\sleep  [31m\n"))
      << "nothing for a terminal to obey";
  EXPECT_THAT(ErrorOf("- {text: \"SELECT 1;\\n  \\0\"}"),
              HasSubstr("scripts.0.text:2:3: a NUL character; expected text only"));
}

TEST(ScriptCheckTest, TheSimpleProtocolHasNoPipelines) {
  const std::string text = "text: \"\\\\startpipeline\\nSELECT 1;\\n\\\\endpipeline\"";
  EXPECT_THAT(ErrorOf(absl::StrCat("- {query_mode: simple, ", text, "}")),
              HasSubstr("scripts.0.text:1:1: the simple protocol has no pipelines"));
  Parsed(absl::StrCat("- {query_mode: extended, ", text, "}"));
  Parsed(absl::StrCat("- {", text, "}"));
}

TEST(ScriptCheckTest, InsertsTakeOnlyWhatIsForThem) {
  for (const char* batch : {"0", "20001", "x", "-1", "1.5", "''", "99999999999999999999", "' 1'"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("- {builtin: insert-batch, variables: {batch: ", batch, "}}")),
                HasSubstr("is no batch; expected a whole number from 1 to 20000"));
  }
  Parsed("- {builtin: insert-copy, variables: {batch: 20000}}");
  EXPECT_THAT(ErrorOf("- {builtin: insert-batch, variables: {scale: 1}}"),
              HasSubstr("scripts.0.variables.scale: unknown; insert-batch has only the variable batch"));
  EXPECT_THAT(ErrorOf("- {builtin: insert-single, variables: {batch: 1}}"),
              HasSubstr("scripts.0.variables.batch: unknown; insert-single has no variables"));
  for (const char* option :
       {"query_mode: simple", "max_tries: 2", "continue_on_error: false", "per_command: true",
        "distribution_key: id"}) {
    const std::string field(option, absl::string_view(option).find(':'));
    EXPECT_THAT(
        ErrorOf(absl::StrCat("- {builtin: insert-copy, ", option, "}")),
        HasSubstr(absl::StrCat("scripts.0.", field, ": not for insert-copy, only for scripts in pgbench's")));
  }
  Parsed(
      "- {builtin: insert-copy, query_mode: prepared, max_tries: 1, continue_on_error: true, per_command: "
      "false}");
}

TEST(ScriptCheckTest, TheDistributionKeyIsAVariableOfTheScript) {
  Parsed("- {text: \"SELECT :a\", distribution_key: a}");
  EXPECT_THAT(ErrorOf("- {text: \"SELECT :a\", distribution_key: b}"),
              HasSubstr("scripts.0.distribution_key: 'b' is no variable of the script"));
}

TEST(ScriptCheckTest, OnlyInsertsHaveKeys) {
  EXPECT_THAT(ErrorOf("- {text: SELECT 1, keys: {range: 5}}"),
              StartsWith("p.yaml:3:26: scripts.0.keys: only for insert-…"));
  EXPECT_THAT(ErrorOf("- {builtin: select-only, keys: {}}"), HasSubstr("scripts.0.keys: only for insert-…"));
  EXPECT_EQ(Parsed("- {builtin: insert-single, keys: {range: 5}}").scripts(0).keys().range(), 5u);
}

TEST(ScriptCheckTest, NamesArePrintable) {
  EXPECT_EQ(Parsed("- {text: SELECT 1, name: 'a b: ö'}").scripts(0).name(), "a b: ö");
  Parsed("- {text: SELECT 1, name: same}\n- {text: SELECT 1, name: same}");
  EXPECT_THAT(ErrorOf("- {text: SELECT 1, name: \"a\\nb\"}"),
              HasSubstr("scripts.0.name: 'a\\nb' is not a name; expected printable characters, at most 64"));
  EXPECT_THAT(ErrorOf("- {text: SELECT 1, name: \"a\\x9bb\"}"), HasSubstr("scripts.0.name: "));
  EXPECT_THAT(ErrorOf(absl::StrCat("- {text: SELECT 1, name: ", std::string(65, 'a'), "}")),
              HasSubstr("is not a name"));
}

TEST(ScriptCheckTest, VariablesHaveNamesAndALimit) {
  EXPECT_EQ(Parsed("- {text: SELECT 1, variables: {_a1: x, é: 0x}}").scripts(0).variables_size(), 2);
  EXPECT_THAT(ErrorOf("- {text: SELECT 1, variables: {a-b: 1}}"),
              HasSubstr("scripts.0.variables.a-b: 'a-b' can't be a variable's name"));
  v1::Plan plan = Parsed("- {text: SELECT 1}");
  for (int i = 0; i < 1001; ++i) (*plan.mutable_variables())[absl::StrCat("v", i)] = "1";
  EXPECT_THAT(ErrorOf(ValidatePlan(plan)), StartsWith("variables: 1001 variables; expected at most 1000"));
}

TEST(ScriptCheckTest, RefusesMoreTextAndMoreMeasuredCommandsThanAnybodyNeeds) {
  v1::Plan plan = Parsed("- {text: SELECT 1, per_command: true}");
  std::string text;
  for (int i = 0; i < 501; ++i) text += "\\set a 1\n";
  plan.mutable_scripts(0)->set_text(text);
  EXPECT_THAT(ErrorOf(ValidatePlan(plan)), StartsWith("scripts: per_command would measure 501 commands"));
  plan.mutable_scripts(0)->set_per_command(false);
  EXPECT_TRUE(ValidatePlan(plan).ok());
  plan.mutable_scripts(0)->set_text(std::string((1 << 20) - 8, ' ') + "SELECT 1");
  EXPECT_TRUE(ValidatePlan(plan).ok());
  for (int i = 0; i < 16; ++i) *plan.add_scripts() = plan.scripts(0);
  EXPECT_THAT(ErrorOf(ValidatePlan(plan)), StartsWith("scripts: all texts together are larger than 16 MiB"));
  plan.mutable_scripts()->DeleteSubrange(1, 16);
  plan.mutable_scripts(0)->mutable_text()->append(" ");
  EXPECT_THAT(ErrorOf(ValidatePlan(plan)), StartsWith("scripts.0.text: larger than 1 MiB"));
}

class ScriptFileTest : public ::testing::Test {
 protected:
  ScriptFileTest() { std::filesystem::create_directories(directory_ / "sql"); }
  ~ScriptFileTest() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }
  absl::StatusOr<v1::Plan> Load(const std::string& scripts, const PlanOverrides& overrides = {}) {
    Write("plan.yaml", With(scripts));
    return LoadPlan(directory_ / "plan.yaml", overrides);
  }
  // Without the folder, which is another each time.
  std::string ErrorOfLoading(const std::string& scripts) {
    return absl::StrReplaceAll(ErrorOf(Load(scripts)), {{directory_.string() + "/", ""}});
  }

  const std::filesystem::path directory_ =
      std::filesystem::path(::testing::TempDir()) /
      absl::StrCat("script_check_test.", getpid(), ".",
                   ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(ScriptFileTest, IsReadFromThePlansFolder) {
  Write("sql/pay.sql", "SELECT :aid;\n");
  Write("other.sql", "SELECT 2;\n");
  const absl::StatusOr<v1::Plan> plan = Load("- {file: sql/pay.sql}");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->scripts(0).file(), "sql/pay.sql") << "as written";
  EXPECT_EQ(plan->scripts(0).text(), "SELECT :aid;\n");
  EXPECT_EQ(plan->scripts(0).name(), "pay");
  EXPECT_TRUE(ValidatePlan(*plan).ok());

  const absl::StatusOr<v1::Plan> other = Load("- {file: sql/pay.sql}", {.set = {"scripts.0.file=other.sql"}});
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(other->scripts(0).text(), "SELECT 2;\n");
  const absl::StatusOr<v1::Plan> absolute =
      Load(absl::StrCat("- {file: ", (directory_ / "other.sql").string(), "}"));
  ASSERT_TRUE(absolute.ok()) << absolute.status();
  EXPECT_EQ(absolute->scripts(0).text(), "SELECT 2;\n");
}

TEST_F(ScriptFileTest, ATextBesideItGoesFirst) {
  const absl::StatusOr<v1::Plan> plan = Load("- {file: not-there.sql, text: SELECT 3}");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->scripts(0).text(), "SELECT 3");
}

TEST_F(ScriptFileTest, SaysWhyItCantBeRead) {
  EXPECT_EQ(
      ErrorOfLoading("- {file: sql/gone.sql}\n- {file: sql}"),
      "plan.yaml:3:10: scripts.0.file: sql/gone.sql: the script can't be read: No such file or directory\n"
      "plan.yaml:4:10: scripts.1.file: sql: a directory; expected a script");
  EXPECT_THAT(ErrorOfLoading("- {file: /dev/zero}"),
              HasSubstr("/dev/zero: a pipe or a device; expected a file"));
  ASSERT_EQ(mkfifo((directory_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(ErrorOfLoading("- {file: pipe}"), HasSubstr("pipe: a pipe or a device"))
      << "and waits for nobody";
  Write("empty.sql", "");
  EXPECT_THAT(ErrorOfLoading("- {file: empty.sql}"), HasSubstr("empty.sql: empty; expected a script"));
  Write("large.sql", "SELECT 1;");
  std::filesystem::resize_file(directory_ / "large.sql", (1 << 20) + 1);
  EXPECT_THAT(ErrorOfLoading("- {file: large.sql}"), HasSubstr("large.sql: larger than 1 MiB"));
  EXPECT_THAT(ErrorOfLoading("- {file: \"a\\0b\"}"), HasSubstr("scripts.0.file: holds a NUL character"));
}

TEST_F(ScriptFileTest, AMistakeInItNamesFileAndLine) {
  Write("sql/bad.sql", "SELECT 1;\n  \\foo\n");
  EXPECT_EQ(ErrorOfLoading("- {file: sql/bad.sql}"),
            "plan.yaml:3:10: scripts.0.file: sql/bad.sql:2:3: there is no command \"\\foo\"\n"
            "      \\foo\n"
            "      ^");
  Write("latin1.sql", "SELECT 1;\nSELECT 'caf\xe9';\n");
  EXPECT_THAT(
      ErrorOfLoading("- {file: latin1.sql}"),
      HasSubstr("latin1.sql:2:12: not UTF-8; expected a text file, saved as UTF-8\n    SELECT 'caf?';"));
}

}  // namespace
}  // namespace trunkload

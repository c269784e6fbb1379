#include "common/script/expression.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/script/expression_parser.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// An expression as a client would meet it, with the variables that it is given as text.
class ExpressionTest : public testing::Test {
 protected:
  // The value's type and text, as debug prints it, or the message of what went wrong.
  std::string Evaluate(const std::string& text) {
    const ScriptSource source("test", text);
    absl::StatusOr<Expression> expression = ParseExpression(source, 0, text.size(), names_);
    if (!expression.ok()) return std::string(expression.status().message());
    Variables variables(names_);
    for (const auto& [name, value] : texts_) variables.SetText(names_.Number(name), value);
    const auto debug = [this](const Value& value) { debugged_.push_back(Show(value)); };
    const absl::StatusOr<Value> value = expression->Evaluate({variables, random_, debug});
    return value.ok() ? Show(*value) : std::string(value.status().message());
  }

  static std::string Show(const Value& value) {
    return value.is_null() ? "null" : absl::StrCat(std::string(TypeName(value.type())), " ", ToText(value));
  }

  void Set(const std::string& name, const std::string& text) {
    names_.Number(name);
    texts_.emplace_back(name, text);
  }

  VariableNames names_;
  Random random_{42};
  std::vector<std::string> debugged_;

 private:
  std::vector<std::pair<std::string, std::string>> texts_;
};

TEST_F(ExpressionTest, BindsAsPgbenchDoes) {
  EXPECT_EQ(Evaluate("1 + 2 * 3"), "int 7");
  EXPECT_EQ(Evaluate("(1 + 2) * 3"), "int 9");
  EXPECT_EQ(Evaluate("- 2 + 3"), "int 1");
  EXPECT_EQ(Evaluate("1 | 2 + 4"), "int 7");
  // Binary operators on bits all bind alike, from the left.
  EXPECT_EQ(Evaluate("1 << 2 | 1 << 3"), "int 40");
  EXPECT_EQ(Evaluate("~ 1 + 2"), "int -4");
  EXPECT_EQ(Evaluate("2 * ~ 1 + 2"), "int -8");
  EXPECT_EQ(Evaluate("~ 5 & 3"), "int 2");
  EXPECT_EQ(Evaluate("not 1 = 2 and false"), "boolean false");
  EXPECT_EQ(Evaluate("not (1 = 2 and false)"), "boolean true");
  EXPECT_EQ(Evaluate("true or true and false"), "boolean true");
  EXPECT_EQ(Evaluate("not null is null"), "boolean false");
  EXPECT_EQ(Evaluate("1 < 2 is true"), "boolean true");
  EXPECT_EQ(Evaluate("null isnull is not false notnull"), "boolean true");
}

TEST_F(ExpressionTest, AnIntegerIsRefusedBeforeItOverflows) {
  EXPECT_EQ(Evaluate("9223372036854775807 + 1"), "bigint add out of range");
  EXPECT_EQ(Evaluate("-9223372036854775808 - 1"), "bigint sub out of range");
  EXPECT_EQ(Evaluate("-9223372036854775808 * -1"), "bigint mul out of range");
  EXPECT_EQ(Evaluate("-9223372036854775808 / -1"), "bigint div out of range");
  EXPECT_EQ(Evaluate("-9223372036854775808 % -1"), "int 0");
  EXPECT_EQ(Evaluate("1 / 0"), "division by zero");
  EXPECT_EQ(Evaluate("int(1e19)"), "double to int overflow for 10000000000000000000.000000");
}

TEST_F(ExpressionTest, TypesMeet) {
  EXPECT_EQ(Evaluate("7 / 2"), "int 3");
  EXPECT_EQ(Evaluate("7 / 2.0"), "double 3.5");
  EXPECT_EQ(Evaluate("2.5 % 2"), "int 0");
  EXPECT_EQ(Evaluate("1 = 1.0"), "boolean true");
  EXPECT_EQ(Evaluate("0.1 + 0.2"), "double 0.3");
  EXPECT_EQ(Evaluate("true + 1"), "cannot coerce boolean to int");
  EXPECT_EQ(Evaluate("not 1"), "cannot coerce int to boolean");
  EXPECT_EQ(Evaluate("greatest(1, 2.5, -3)"), "double 2.5");
  EXPECT_EQ(Evaluate("least(1, -3)"), "int -3");
  EXPECT_EQ(Evaluate("null + 1"), "null");
  EXPECT_EQ(Evaluate("abs(-2)"), "int 2");
}

TEST_F(ExpressionTest, LogicAndCaseAreLazy) {
  EXPECT_EQ(Evaluate("false and 1 / 0 = 1"), "boolean false");
  EXPECT_EQ(Evaluate("true or 1 / 0 = 1"), "boolean true");
  EXPECT_EQ(Evaluate("null and 1 / 0 = 1"), "null");
  EXPECT_EQ(Evaluate("true and null"), "null");
  EXPECT_EQ(Evaluate("case when 1 then 2 else 1 / 0 end"), "int 2");
  EXPECT_EQ(Evaluate("case when false then 1 when null then 2 end"), "null");
  EXPECT_EQ(Evaluate("1 + case when 0.5 then 2 when true then 3 else 4 end * 10"), "int 21");
}

TEST_F(ExpressionTest, EvaluatesFromTheLeftButForTwoComparisons) {
  EXPECT_EQ(Evaluate("debug(1) < debug(2)"), "boolean true");
  EXPECT_EQ(Evaluate("debug(3) > debug(4)"), "boolean false");
  EXPECT_THAT(debugged_, ElementsAre("int 1", "int 2", "int 4", "int 3"));
}

TEST_F(ExpressionTest, VariablesGivenAsTextTakeTheTypeTheyLookLike) {
  for (const auto& [name, text, value] : std::vector<std::array<std::string, 3>>{
           {"n", "null", "null"},
           {"yes", "Y", "boolean true"},
           {"off", "of", "boolean false"},
           {"whole", " -12", "int -12"},
           {"real", "1e3", "double 1000"},
           {"o", "o", "malformed variable \"o\""},
           {"large", "9223372036854775808", "malformed variable \"large\""}}) {
    Set(name, text);
    EXPECT_THAT(Evaluate(":" + name), StartsWith(value));
  }
  EXPECT_EQ(Evaluate(":nobody"), "undefined variable \"nobody\"");
}

// The values are pgbench 15's.
TEST_F(ExpressionTest, HashesAndPermutesAsPgbenchDoes) {
  Set("default_seed", "5432");
  EXPECT_EQ(Evaluate("hash(10)"), "int -5817877081768721676");
  EXPECT_EQ(Evaluate("hash_murmur2(10, 5432)"), "int -5817877081768721676");
  EXPECT_EQ(Evaluate("permute(3, 10, 7)"), "int 3");
  EXPECT_EQ(Evaluate("permute(5, 1000003, -9)"), "int 382577");
}

TEST_F(ExpressionTest, RefusesToDrawFromWhatIsNoDistribution) {
  EXPECT_EQ(Evaluate("random(5, 4)"), "empty range given to random");
  EXPECT_THAT(Evaluate("random_gaussian(1, 10, 1.9)"), HasSubstr("at least 2.0"));
}

TEST_F(ExpressionTest, AMistakeIsShownWhereItIs) {
  EXPECT_EQ(Evaluate("1 +"), "test:1:4: the expression ends where a value should come\n1 +\n   ^");
  EXPECT_EQ(Evaluate("1 + foo(2)"), "test:1:5: there is no function \"foo\"\n1 + foo(2)\n    ^");
  EXPECT_EQ(Evaluate("abs(1, 2)"), "test:1:1: abs takes 1 argument, not 2\nabs(1, 2)\n^");
  EXPECT_THAT(Evaluate("1 < 2 < 3"), HasSubstr("\"<\" can't follow \"<\": write parentheses"));
  EXPECT_THAT(Evaluate("9223372036854775808"), HasSubstr("more than 64 bits"));
  EXPECT_THAT(Evaluate("1 $ 2"), HasSubstr("unexpected character \"$\""));
  EXPECT_THAT(Evaluate(std::string(5'000, '(')), HasSubstr("nested too deeply"));
  EXPECT_THAT(Evaluate("(1"), HasSubstr("the expression ends where \")\" should come"));
  EXPECT_THAT(Evaluate("1 2"), HasSubstr("expected an operator, not \"2\""));
}

}  // namespace
}  // namespace trunkload

#include "common/utf8.h"

#include <gtest/gtest.h>

namespace trunkload {
namespace {

TEST(Utf8Test, ReadsOneCharacter) {
  EXPECT_EQ(FirstCharacter("ab").code, 'a');
  EXPECT_EQ(FirstCharacter("\xc3\xa9x").code, 0xe9u);
  EXPECT_EQ(FirstCharacter("\xe2\x82\xac").bytes, 3u);
  EXPECT_EQ(FirstCharacter("\xf0\x9f\x98\x80").code, 0x1f600u);
  for (const absl::string_view text :
       {"\xc0\x80", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\x80", "\xe0\x80\x80"}) {
    EXPECT_EQ(FirstCharacter(text).bytes, 0u);
  }
}

TEST(Utf8Test, OneLineHoldsNothingThatATerminalObeys) {
  EXPECT_EQ(OneLine("ERROR:  a\nDETAIL:\tb \x1b[31m\x7f", 100), "ERROR:  a DETAIL: b  [31m ");
  EXPECT_EQ(OneLine("\xc2\x9b"
                    "31m",
                    100),
            " 31m")
      << "one character that begins a sequence, too";
  EXPECT_EQ(OneLine("caf\xe9 caf\xc3\xa9", 100), "caf? caf\xc3\xa9");
  EXPECT_EQ(OneLine(absl::string_view("a\0b", 3), 100), "a b");
}

TEST(Utf8Test, OneLineIsCutBetweenCharacters) {
  EXPECT_EQ(OneLine("abc", 3), "abc");
  EXPECT_EQ(OneLine("abcd", 3), "abc");
  EXPECT_EQ(OneLine("ab\xc3\xa9", 3), "ab");
  EXPECT_EQ(OneLine("a", 0), "");
}

}  // namespace
}  // namespace trunkload

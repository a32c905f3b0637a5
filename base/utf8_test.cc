#include "base/utf8.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

TEST(Utf8Test, KnowsWhatIsText) {
  for (const std::string& text :
       {std::string(), std::string("app"), std::string("\0", 1),
        std::string("caf\xc3\xa9"), std::string("\xe2\x82\xac"),
        std::string("\xf0\x9f\x90\xb3"), std::string("\xed\x9f\xbf"),
        std::string("\xee\x80\x80"), std::string("\xf4\x8f\xbf\xbf")}) {
    EXPECT_TRUE(IsUtf8(text)) << EscapeUnlessUtf8(text);
    EXPECT_EQ(EscapeUnlessUtf8(text), text);
  }
}

TEST(Utf8Test, KnowsWhatIsNone) {
  for (const char* text :
       {"\x80", "\xff\xfe", "caf\xe9", "\xc3", "a\xe2\x82", "\xc0\x80",
        "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x28\xa1"}) {
    EXPECT_FALSE(IsUtf8(text));
  }
}

TEST(Utf8Test, CutsBetweenCharacters) {
  const std::string text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xb3z";
  for (size_t size = 0; size <= text.size() + 1; ++size) {
    const absl::string_view cut = Utf8Prefix(text, size);
    EXPECT_LE(cut.size(), size);
    EXPECT_GE(cut.size() + 3, std::min(size, text.size()));
    EXPECT_TRUE(IsUtf8(cut)) << size;
    EXPECT_EQ(text.substr(0, cut.size()), cut);
  }
  EXPECT_EQ(Utf8Prefix("\x80\x80\x80", 2), "");
}

TEST(Utf8Test, ShowsWhatIsNone) {
  EXPECT_EQ(EscapeUnlessUtf8("repositories/caf\xe9"), "repositories/caf\\xe9");
  EXPECT_EQ(EscapeUnlessUtf8("\xff\n"), "\\xff\\n");
}

}  // namespace
}  // namespace reclaim::base

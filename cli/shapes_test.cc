// Docker's shapes: tables, sizes, ages, templates.

#include <sstream>
#include <vector>

#include "base/status_matchers.h"
#include "cli/listing.h"
#include "cli/units.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::cli {
namespace {

using ::testing::HasSubstr;

TEST(UnitsTest, SizesAreDockers) {
  EXPECT_EQ(HumanSize(0), "0B");
  EXPECT_EQ(HumanSize(999), "999B");
  EXPECT_EQ(HumanSize(1000), "1kB");
  EXPECT_EQ(HumanSize(1114), "1.114kB");
  EXPECT_EQ(HumanSize(16430000), "16.43MB");
  EXPECT_EQ(HumanSize(16430000, 3), "16.4MB");
  EXPECT_EQ(HumanSize(999600000, 3), "1GB");
  EXPECT_EQ(HumanSize(999960, 4), "1MB");
  EXPECT_EQ(HumanSize(UINT64_MAX), "18.45EB");
}

TEST(UnitsTest, AgesAreDockers) {
  const auto age = [](absl::Duration d) { return HumanDuration(d); };
  EXPECT_EQ(age(absl::Milliseconds(300)), "Less than a second");
  EXPECT_EQ(age(absl::Seconds(1)), "1 second");
  EXPECT_EQ(age(absl::Seconds(59)), "59 seconds");
  EXPECT_EQ(age(absl::Seconds(61)), "About a minute");
  EXPECT_EQ(age(absl::Minutes(59)), "59 minutes");
  EXPECT_EQ(age(absl::Minutes(61)), "About an hour");
  EXPECT_EQ(age(absl::Hours(47)), "47 hours");
  EXPECT_EQ(age(absl::Hours(48)), "2 days");
  EXPECT_EQ(age(absl::Hours(24 * 14)), "2 weeks");
  EXPECT_EQ(age(absl::Hours(24 * 60)), "2 months");
  EXPECT_EQ(age(absl::Hours(24 * 730)), "2 years");
}

TEST(UnitsTest, SpansWithDays) {
  EXPECT_EQ(*ParseSpan("7d"), absl::Hours(168));
  EXPECT_EQ(*ParseSpan("1d12h"), absl::Hours(36));
  EXPECT_EQ(*ParseSpan("90m"), absl::Minutes(90));
  EXPECT_FALSE(ParseSpan("soon").ok());
  EXPECT_FALSE(ParseSpan("").ok());
  EXPECT_FALSE(ParseSpan("-1h").ok());
  EXPECT_FALSE(ParseSpan("-1d").ok());
  EXPECT_FALSE(ParseSpan("1d-12h").ok());
  EXPECT_EQ(*ParseSpan("9223372036854775807d"), absl::InfiniteDuration());
}

TEST(UnitsTest, SpansInMessages) {
  EXPECT_EQ(ToProto(absl::Milliseconds(1500)).seconds(), 1);
  EXPECT_EQ(ToProto(absl::Milliseconds(1500)).nanos(), 500'000'000);
  EXPECT_EQ(ToProto(absl::Milliseconds(500)).nanos(), 500'000'000)
      << "not 0, which judges references alone";
  EXPECT_EQ(ToProto(absl::ZeroDuration()).nanos(), 0);
  EXPECT_EQ(ToProto(absl::InfiniteDuration()).seconds(), 315'576'000'000);
  EXPECT_EQ(ToProto(absl::InfiniteDuration()).nanos(), 0);
}

// Byte for byte what `docker system df` prints for an empty engine.
TEST(ListingTest, TheTableIsDockers) {
  Listing listing({{"TYPE", "Type"},
                   {"TOTAL", "TotalCount"},
                   {"ACTIVE", "Active"},
                   {"SIZE", "Size"},
                   {"RECLAIMABLE", "Reclaimable"}});
  for (const char* type :
       {"Images", "Containers", "Local Volumes", "Build Cache"}) {
    listing.Add({{"Type", type},
                 {"TotalCount", "0"},
                 {"Active", "0"},
                 {"Size", "0B"},
                 {"Reclaimable", "0B"}});
  }
  std::ostringstream out;
  ASSERT_THAT(listing.Print("", &out), base::IsOk());
  EXPECT_EQ(out.str(),
            "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n"
            "Images          0         0         0B        0B\n"
            "Containers      0         0         0B        0B\n"
            "Local Volumes   0         0         0B        0B\n"
            "Build Cache     0         0         0B        0B\n");
}

class TemplateTest : public ::testing::Test {
 protected:
  TemplateTest() {
    listing_.Add({{"Name", "a\"b"}, {"Size", "1kB"}});
    listing_.Add({{"Name", "\x1b[31mred"}, {"Size", "2kB"}});
  }
  std::string Print(const std::string& format) {
    std::ostringstream out;
    EXPECT_THAT(listing_.Print(format, &out), base::IsOk());
    return out.str();
  }
  Listing listing_{{{"NAME", "Name"}, {"SIZE", "Size"}}};
};

TEST_F(TemplateTest, FieldsAndJson) {
  EXPECT_THAT(Print("{{.Name}}\\t{{.Size}}"), HasSubstr("a\"b\t1kB\n"));
  EXPECT_THAT(Print("{{json .Name}}"), HasSubstr("\"a\\\"b\"\n"));
  EXPECT_THAT(Print("{{json .}}"),
              HasSubstr("{\"Name\":\"a\\\"b\",\"Size\":\"1kB\"}\n"));
  EXPECT_THAT(Print("json"), HasSubstr("\"Size\":\"2kB\"}\n"));
  EXPECT_THAT(Print("table {{.Size}}\\t{{.Name}}"),
              ::testing::StartsWith("SIZE      NAME\n1kB       a\"b\n"));
}

TEST_F(TemplateTest, WhatIsNotUnderstoodIsAnError) {
  std::ostringstream out;
  for (const char* format :
       {"{{.Nothing}}", "{{range .}}", "{{.Name", "{{if .Name}}x{{end}}"}) {
    EXPECT_THAT(listing_.Print(format, &out),
                base::StatusIs(absl::StatusCode::kInvalidArgument))
        << format;
  }
}

TEST_F(TemplateTest, NamesCannotDriveTheTerminal) {
  EXPECT_THAT(Print(""), HasSubstr("\\x1b[31mred"));
  EXPECT_THAT(Print("{{.Name}}"), ::testing::Not(HasSubstr("\x1b")));
}

TEST(ListingTest, WideCharactersTakeTwoColumns) {
  EXPECT_EQ(Tabulate({{"漢字漢字漢字", "x"}, {"a", "y"}}),
            "漢字漢字漢字   x\na              y\n");
}

TEST(SafeTest, WhatATerminalWouldObeyIsShown) {
  EXPECT_EQ(Safe("name\x1b[31m"), "name\\x1b[31m");
  EXPECT_EQ(Safe("\xc2\x9b"), "\\xc2\\x9b");  // C1: the other escape
  EXPECT_EQ(Safe("\xe4\xb8\xad"), "\xe4\xb8\xad");
}

TEST(SafeTest, WhatIsNoUtf8IsShown) {
  for (const char* text : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xe4\xb8",
                           "\xf4\x90\x80\x80", "\x80"}) {
    EXPECT_EQ(Safe(text).substr(0, 2), "\\x");
  }
}

TEST(ListingTest, JsonIsJsonWhateverTheNamesAre) {
  Listing listing(std::vector<Column>{{"NAME", "Name"}});
  listing.Add({{"Name", "a\xff"}});
  std::ostringstream out;
  EXPECT_THAT(listing.Print("json", &out), base::IsOk());
  EXPECT_EQ(out.str(), "{\"Name\":\"a\xef\xbf\xbd\"}\n");
}

}  // namespace
}  // namespace reclaim::cli

#include "base/roff.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

using ::testing::HasSubstr;

TEST(RoffTest, APage) {
  RoffPage page("reclaim-image", 1, "manage images");
  page.Section("OPTIONS");
  page.Item("-f, --force", "Do not ask");
  page.Verbatim("a  b\nc");
  EXPECT_EQ(page.text(),
            ".TH \"RECLAIM\\-IMAGE\" 1 \"\" \"Reclaim\" \"Reclaim manual\"\n"
            ".SH \"NAME\"\nreclaim\\-image \\- manage images\n"
            ".SH \"OPTIONS\"\n"
            ".TP\n.B \"\\-f, \\-\\-force\"\nDo not ask\n"
            ".PP\n.nf\na  b\nc\n.fi\n");
}

TEST(RoffTest, TextIsNeverARequest) {
  RoffPage page("x", 1, "y");
  page.Paragraph(".so /etc/passwd\n.in\n'br\nback\\slash");
  EXPECT_THAT(page.text(), HasSubstr(".PP\n\\&.so /etc/passwd\n\\&.in\n"
                                     "\\&'br\nback\\eslash\n"));
  page.Item("say \"x\"", "");
  EXPECT_THAT(page.text(), HasSubstr(".B \"say \\(dqx\\(dq\"\n\\&\n"));
}

}  // namespace
}  // namespace reclaim::base

#include "oci/name.h"

#include <string>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace reclaim::oci {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

TEST(NameTest, KnowsRepositoryNames) {
  for (const char* name : {"a", "library/ubuntu", "a/b/c", "a-b", "a--b",
                           "a__b", "a.b_c", "0/1"}) {
    EXPECT_TRUE(IsRepositoryName(name)) << name;
  }
  for (const char* name : {"", "A", "a/", "/a", "a//b", "a..b", "a___b", "-a",
                           "a-", "a b", "..", "a/../b", "a/_b"}) {
    EXPECT_FALSE(IsRepositoryName(name)) << name;
  }
  EXPECT_FALSE(IsRepositoryName(std::string(256, 'a')));
}

// distribution/reference, DomainRegexp.
TEST(NameTest, KnowsHostsBeforeTheName) {
  for (const char* host : {"EXAMPLE.com", "Host", "host:5000", "a-b.C", "0"}) {
    EXPECT_TRUE(IsRegistryHost(host)) << host;
    EXPECT_TRUE(IsRepositoryName(std::string(host) + "/a/b")) << host;
    EXPECT_FALSE(IsRepositoryName("a/" + std::string(host) + "X/b")) << host;
  }
  EXPECT_FALSE(IsRepositoryName("EXAMPLE.com"));
  EXPECT_FALSE(IsRepositoryName("EXAMPLE.com/App"));
  for (const char* text : {"", "a..b", ".a", "a.", "-a", "a-", "a_b",
                           "a:", "a:b", "a:1:2", "a b", "..", "caf\xc3\xa9"}) {
    EXPECT_FALSE(IsRegistryHost(text)) << text;
  }
  EXPECT_FALSE(IsRepositoryName("A.b/" + std::string(252, 'a')));
}

TEST(NameTest, KnowsTags) {
  EXPECT_TRUE(IsTagName("latest"));
  EXPECT_TRUE(IsTagName("_1.2-rc"));
  EXPECT_FALSE(IsTagName(""));
  EXPECT_FALSE(IsTagName(".a"));
  EXPECT_FALSE(IsTagName("a/b"));
  EXPECT_FALSE(IsTagName(std::string(129, 'a')));
}

TEST(NameTest, ReadsReferences) {
  const auto plain = ParseReference("host:5000/a/b:v1");
  ASSERT_THAT(plain, IsOk());
  EXPECT_EQ(plain->repository, "host:5000/a/b");
  EXPECT_EQ(plain->tag, "v1");
  const std::string digest = Digest::Sha256Of("x").ToString();
  const auto pinned = ParseReference("a/b:v1@" + digest);
  ASSERT_THAT(pinned, IsOk());
  EXPECT_EQ(pinned->tag, "v1");
  EXPECT_EQ(pinned->digest->ToString(), digest);
  EXPECT_EQ(ParseReference("localhost/x")->repository, "localhost/x");
  for (const char* text : {"", "a:", "a@", "a@x", ":v1", "a:b:c", "A/b:v1"}) {
    EXPECT_THAT(ParseReference(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(NameTest, AReferencesHostIsOne) {
  for (const char* host :
       {"localhost", "docker.io", "host:5000", "EXAMPLE.com:80", "10.0.0.1",
        "[::1]", "[fd00::1]:5000"}) {
    EXPECT_THAT(ParseReference(std::string(host) + "/app:v1"), IsOk()) << host;
  }
  for (const char* host :
       {".", "..", "...", "a..b", ".a", "a.", "C:", "a:b", "host:", ":5000",
        "[", "[]", "[::1", "::1", "[::1]:", "[::1]x", "[..]", "a.b:1:2"}) {
    EXPECT_FALSE(ParseReference(std::string(host) + "/app:v1").ok()) << host;
  }
}

TEST(NameTest, ShortensFamiliarNames) {
  EXPECT_EQ(FamiliarRepository("docker.io/library/ubuntu"), "ubuntu");
  EXPECT_EQ(FamiliarRepository("docker.io/me/app"), "me/app");
  EXPECT_EQ(FamiliarRepository("quay.io/me/app"), "quay.io/me/app");
}

TEST(NameTest, ADigestAndAnyTextStandForATag) {
  EXPECT_EQ(JoinTag("app", "v1"), "app:v1");
  EXPECT_EQ(JoinTag("app", "@sha256:12"), "app@sha256:12");
  EXPECT_EQ(JoinTag("anything", "@"), "anything");
}

}  // namespace
}  // namespace reclaim::oci

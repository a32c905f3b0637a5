#include "oci/digest.h"

#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::oci {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

// FIPS 180-2, appendix B.1: SHA-256 of "abc".
constexpr char kAbc[] =
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(DigestTest, HashesAndPrints) {
  EXPECT_EQ(Digest::Sha256Of("abc").ToString(), kAbc);
  EXPECT_EQ(Digest::Sha256Of("abc").Short(), "ba7816bf8f01");
}

TEST(DigestTest, ParsesWhatItPrints) {
  const auto digest = Digest::Parse(kAbc);
  ASSERT_THAT(digest, IsOk());
  EXPECT_EQ(*digest, Digest::Sha256Of("abc"));
  EXPECT_EQ(digest->ToString(), kAbc);
  EXPECT_EQ(digest->size(), 32u);
}

TEST(DigestTest, KnowsSha512) {
  Hasher hasher(DigestAlgorithm::kSha512);
  hasher.Update("a");
  hasher.Update("bc");
  const Digest digest = hasher.Finish();
  EXPECT_EQ(digest.hex().substr(0, 16), "ddaf35a193617aba");  // FIPS 180-2 C.1
  EXPECT_EQ(*Digest::Parse(digest.ToString()), digest);
}

TEST(DigestTest, RefusesWhatIsNone) {
  const std::string hex(64, 'a');
  for (const std::string& text :
       {std::string(""), std::string("sha256"), std::string("sha256:"),
        "sha256:" + hex + "a", "sha256:" + hex.substr(1),
        "sha256:" + std::string(64, 'A'), "sha256:" + std::string(64, 'g'),
        ":" + hex, "../" + hex, "sha256:../" + hex.substr(3),
        std::string("sha256:") + '\0' + hex, "SHA256:" + hex,
        std::string("md5:")}) {
    EXPECT_THAT(Digest::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(DigestTest, SaysThatAnAlgorithmIsUnknown) {
  EXPECT_THAT(Digest::Parse("blake3:abcd"),
              StatusIs(absl::StatusCode::kUnimplemented,
                       ::testing::HasSubstr("blake3")));
}

TEST(DigestTest, OrdersByAlgorithmThenBytes) {
  EXPECT_TRUE(Digest() < Digest::Sha256Of("x"));
  EXPECT_TRUE(Digest().empty());
  EXPECT_EQ(Digest().ToString(), "");
}

}  // namespace
}  // namespace reclaim::oci

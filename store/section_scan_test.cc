// Scans with a memo: what is skipped, and what never is.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/content_store.h"
#include "store/open_store.h"
#include "store/testing/store_tree.h"

namespace reclaim::store {
namespace {

using ::reclaim::base::IsOk;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kTop[] = "docker/registry/v2/repositories/";

class Facts final : public ScanSink {
 public:
  absl::Status Accept(ScanBatch batch) override {
    for (const auto& f : batch.blobs) blobs.insert(f.digest.ToString());
    for (const auto& f : batch.tags) tags[f.tag] = f.digest;
    for (const auto& f : batch.memberships) {
      members.insert(f.digest.ToString());
      if (f.is_only_name) only_names.insert(f.digest.ToString());
    }
    for (const auto& f : batch.strays) strays.insert(f.path);
    for (const auto& f : batch.problems) problems.insert(f.path);
    for (const auto& f : batch.sections) {
      if (f.state == SectionState::kListed) listed.insert(NameOf(f));
    }
    return absl::OkStatus();
  }
  bool IsCancelled() const override { return false; }

  static std::string NameOf(const SectionReport& section) {
    return absl::StrCat(static_cast<int>(section.kind), " ", section.scope,
                        section.shard < 0 ? "" : "#",
                        section.shard < 0 ? "" : absl::StrCat(section.shard));
  }

  std::set<std::string> blobs, members, only_names, strays, problems, listed;
  std::map<std::string, oci::Digest> tags;
  ScanResult result;
  std::map<std::string, int> calls;  // system calls, by site
};

class SectionScanTest : public ::testing::Test {
 protected:
  void Open(StoreKind kind) {
    auto store = OpenStore({kind, folder_.path()}, true);
    ASSERT_THAT(store, IsOk());
    store_ = *std::move(store);
  }

  Facts Scan() {
    folder_.WaitForClock();
    Facts facts;
    request_.now = now_;
    base::ScopedErrno count(0, std::numeric_limits<int>::max(), false);
    const auto result = store_->Scan(request_, &facts);
    EXPECT_THAT(result, IsOk());
    if (result.ok()) facts.result = *result;
    facts.calls = count.reached();
    request_.memo = facts.result.memo;
    folder_.WaitForClock();
    return facts;
  }
  // Everything but the list of repositories was skipped.
  void ExpectAllSkipped(const Facts& facts) {
    EXPECT_THAT(facts.listed, testing::ElementsAre("1 "));
    EXPECT_EQ(facts.result.unchanged_section_count + 1,
              facts.result.section_count);
    EXPECT_EQ(facts.calls.count("read.read"), 0u) << "no file was read";
  }

  // Long after the files of the test: they are settled.
  absl::Time now_ = absl::FromUnixSeconds(4102444800);
  TempFolder folder_;
  RegistryTree registry_{&folder_};
  ScanRequest request_;
  std::unique_ptr<ContentStore> store_;
};

TEST_F(SectionScanTest, ARegistryAsItWasIsSkipped) {
  registry_.Image("app", "v1", {"one", "two"});
  registry_.Image("lib/x", "v1", {"one"});
  registry_.Upload("app", "u1", "half");
  Open(StoreKind::kRegistry);
  const Facts first = Scan();
  EXPECT_EQ(first.result.unchanged_section_count, 0u);
  EXPECT_EQ(first.listed.size(), first.result.section_count);
  ExpectAllSkipped(Scan());
  ExpectAllSkipped(Scan());
}

TEST_F(SectionScanTest, LayoutsAsTheyWereAreSkipped) {
  for (const char* place : {"a", "b/c"}) {
    LayoutTree tree(&folder_, place);
    tree.Entry(tree.Image({"shared", place}), "v1");
  }
  Open(StoreKind::kImageLayout);
  request_.thread_count = 4;
  EXPECT_EQ(Scan().result.section_count, 7u);
  ExpectAllSkipped(Scan());
  LayoutTree changed(&folder_, "a");
  changed.Entry(changed.Image({"more"}), "v2");
  EXPECT_THAT(Scan().listed, testing::ElementsAre("1 ", "2 a", "3 a", "4 a"));
}

// Which of them a tool takes is not said anywhere: none of them is garbage, and
// the tag does not wander.
TEST_F(SectionScanTest, OfEntriesWithOneNameTheFirstIsTheTag) {
  LayoutTree tree(&folder_, "a");
  const oci::Digest first = tree.Image({"one"});
  const oci::Digest second = tree.Image({"two"});
  const oci::Digest third = tree.Image({"three"});
  tree.Entry(first, "v1");
  tree.Entry(second, "");
  tree.Entry(second, "v1");
  tree.Entry(third, "v1");
  tree.Entry(first, "v1");
  tree.Entry(third, "");
  Open(StoreKind::kImageLayout);
  for (int i = 0; i < 3; ++i) {
    request_.must_list_names = i == 2;
    const Facts facts = Scan();
    if (i == 1) {
      ExpectAllSkipped(facts);
      continue;
    }
    EXPECT_EQ(facts.tags.at("v1"), first);
    EXPECT_EQ(facts.only_names,
              (std::set<std::string>{second.ToString(), third.ToString()}));
    EXPECT_EQ(facts.members, facts.only_names);
  }
}

TEST_F(SectionScanTest, APushListsWhatItTouched) {
  registry_.Image("app", "v1", {"one"});
  registry_.Image("lib", "v1", {"one"});
  Open(StoreKind::kRegistry);
  Scan();
  const oci::Digest image = registry_.Image("app", "v2", {"one", "new"});
  const Facts facts = Scan();
  EXPECT_EQ(facts.tags.at("v2"), image);
  EXPECT_THAT(facts.listed, Contains("3 app"));
  EXPECT_THAT(facts.listed, Contains("5 app"));
  EXPECT_THAT(facts.listed, Not(Contains("3 lib")));
  EXPECT_LE(facts.listed.size(), 7u) << "three shards, three kinds of links";
}

TEST_F(SectionScanTest, ATagRewrittenInPlaceIsSeenWhateverItsTime) {
  registry_.Image("app", "v1", {"one"});
  Open(StoreKind::kRegistry);
  Scan();
  const std::string link = absl::StrCat(
      folder_.path(), "/", kTop, "app/_manifests/tags/v1/", "current/link");
  struct stat before;
  ASSERT_EQ(stat(link.c_str(), &before), 0);
  const oci::Digest other = registry_.Image("app", "", {"two"});
  Scan();
  // Same inode, same size, and the time that it had.
  const int fd = open(link.c_str(), O_WRONLY);
  const std::string text = other.ToString();
  ASSERT_EQ(write(fd, text.data(), text.size()),
            static_cast<ssize_t>(text.size()));
  close(fd);
  const struct timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, link.c_str(), times, 0), 0);
  EXPECT_EQ(Scan().tags.at("v1"), other);
}

// What a registry's API does: the link goes, its folder stays, and a later push
// of the same manifest writes the link again.  No folder above tells of it.
TEST_F(SectionScanTest, ALinkThatComesAndGoesInItsFolderIsSeen) {
  const oci::Digest image = registry_.Image("app", "v1", {"one"});
  Open(StoreKind::kRegistry);
  Scan();
  const std::string link = absl::StrCat(
      kTop, "app/_manifests/revisions/sha256/", image.hex(), "/link");
  folder_.Remove(link);
  Facts facts = Scan();
  EXPECT_THAT(facts.listed, Contains("4 app"));
  EXPECT_THAT(facts.members, Not(Contains(image.ToString())));
  folder_.Write(link, image.ToString());
  facts = Scan();
  EXPECT_THAT(facts.listed, Contains("4 app"));
  EXPECT_THAT(facts.members, Contains(image.ToString()));
}

TEST_F(SectionScanTest, AProofReadsAllNames) {
  registry_.Image("app", "v1", {"one"});
  Open(StoreKind::kRegistry);
  Scan();
  request_.must_list_names = true;
  const Facts facts = Scan();
  EXPECT_THAT(facts.listed,
              testing::ElementsAre("1 ", "3 app", "4 app", "5 app", "6 app"));
  EXPECT_EQ(facts.calls.at("read.read"), 2) << "the one tag, to its end";
}

TEST_F(SectionScanTest, WhatTheCallerDoubtsIsListed) {
  registry_.Image("app", "v1", {"one"});
  Open(StoreKind::kRegistry);
  Scan();
  request_.must_list = {SectionKey(SectionKind::kTags, "app", -1),
                        SectionKey(SectionKind::kBlobs, "", 7)};
  EXPECT_THAT(Scan().listed, testing::ElementsAre("1 ", "2 #7", "3 app"));
}

TEST_F(SectionScanTest, WhatIsStrangeIsToldAgain) {
  registry_.Image("app", "v1", {"one"});
  const std::string stray = "docker/registry/v2/blobs/sha256/ab/what";
  folder_.Write(stray, "?");
  const std::string torn =
      absl::StrCat(kTop, "app/_manifests/tags/v2/", "current/link");
  folder_.Write(torn, "sha256:");
  Open(StoreKind::kRegistry);
  for (int i = 0; i < 3; ++i) {
    const Facts facts = Scan();
    EXPECT_THAT(facts.strays, Contains(stray));
    EXPECT_THAT(facts.problems, Contains(torn));
  }
}

TEST_F(SectionScanTest, ATornLinkIsAProblemUntilItIsWhole) {
  const oci::Digest image = registry_.Image("app", "v1", {"one"});
  const std::string link = absl::StrCat(
      kTop, "app/_manifests/revisions/sha256/", image.hex(), "/link");
  folder_.Write(link, "sha256:");
  Open(StoreKind::kRegistry);
  EXPECT_THAT(Scan().problems, Contains(link));
  // Its registry has opened it anew: what it says then the next scan sees.
  folder_.Write(link, "");
  EXPECT_THAT(Scan().problems, IsEmpty());
  folder_.Write(link, oci::Digest::Sha256Of("another").ToString() + "\n");
  EXPECT_THAT(Scan().problems, Contains(link));
  folder_.Write(link, image.ToString() + "\n");
  EXPECT_THAT(Scan().problems, IsEmpty());
}

TEST_F(SectionScanTest, WhatIsYoungIsNotTrusted) {
  registry_.Image("app", "v1", {"one"});
  Open(StoreKind::kRegistry);
  now_ = absl::Now();
  Scan();
  EXPECT_THAT(Scan().listed, Contains("3 app"));
  now_ = absl::Now() - absl::Hours(1);  // then the files are of the future
  request_.memo.clear();
  Scan();
  EXPECT_THAT(Scan().listed, Contains("3 app"));
}

TEST_F(SectionScanTest, AMemoLastsADayAndNoClockThatGoesBack) {
  registry_.Image("app", "v1", {"one"});
  Open(StoreKind::kRegistry);
  Scan();
  const std::string memo = request_.memo;
  now_ += absl::Hours(24);
  ExpectAllSkipped(Scan());
  now_ += absl::Seconds(1);
  EXPECT_EQ(Scan().result.unchanged_section_count, 0u)
      << "skipping does not make a memo younger";
  request_.memo = memo;
  now_ -= absl::Hours(48);
  EXPECT_EQ(Scan().result.unchanged_section_count, 0u);
}

TEST_F(SectionScanTest, AMemoIsOfOneRootAndWhole) {
  registry_.Image("app", "v1", {"one"});
  Open(StoreKind::kRegistry);
  Scan();
  const std::string memo = request_.memo;
  for (size_t size = 0; size < memo.size(); size += 499) {
    request_.memo = memo.substr(0, size);
    const Facts facts = Scan();
    EXPECT_EQ(facts.result.memo, memo);
  }
  TempFolder other;
  RegistryTree(&other).Image("app", "v1", {"one"});
  auto store = OpenStore({StoreKind::kRegistry, other.path()}, true);
  ASSERT_THAT(store, IsOk());
  store_ = *std::move(store);
  request_.memo = memo;
  EXPECT_EQ(Scan().result.unchanged_section_count, 0u);
}

TEST_F(SectionScanTest, ASecondNameMadeElsewhereListsTheFirst) {
  for (const char* place : {"a", "b"}) {
    LayoutTree tree(&folder_, place);
    tree.Entry(tree.Image({place}), "v1");
  }
  Open(StoreKind::kImageLayout);
  Scan();
  ExpectAllSkipped(Scan());
  const std::string blob = "/blobs/sha256/" + oci::Digest::Sha256Of("a").hex();
  ASSERT_EQ(link((folder_.path() + "/a" + blob).c_str(),
                 (folder_.path() + "/b" + blob).c_str()),
            0);
  EXPECT_THAT(Scan().listed, testing::ElementsAre("1 ", "2 a", "2 b"));
  // Both names are known now: their sections are listed, and no other.
  LayoutTree third(&folder_, "c");
  third.Entry(third.Image({"c"}), "v1");
  Scan();
  EXPECT_THAT(Scan().listed, testing::ElementsAre("1 ", "2 a", "2 b"));
  folder_.Remove("b" + blob);
  Scan();
  ExpectAllSkipped(Scan());
}

TEST_F(SectionScanTest, ANameOutsideTheStoreIsNoReasonToListEverythingForEver) {
  TempFolder outside;
  for (const char* place : {"a", "b"}) {
    LayoutTree tree(&folder_, place);
    tree.Entry(tree.Image({place}), "v1");
  }
  const std::string blob =
      "/a/blobs/sha256/" + oci::Digest::Sha256Of("a").hex();
  ASSERT_EQ(
      link((folder_.path() + blob).c_str(), (outside.path() + "/copy").c_str()),
      0);
  Open(StoreKind::kImageLayout);
  Scan();
  EXPECT_THAT(Scan().listed, testing::ElementsAre("1 ", "2 a"));
}

// Names on a disk are any bytes; those that can't be recorded are told.
TEST_F(SectionScanTest, ANameThatIsNoTextInALayoutIsTold) {
  LayoutTree tree(&folder_, "a");
  tree.Entry(tree.Image({"a"}), "v1");
  LayoutTree hostile(&folder_, "b/\xff\xfe");
  hostile.Entry(hostile.Image({"b"}), "v1");
  Open(StoreKind::kImageLayout);
  for (const char* path :
       {"", "a/\xff", "a/blobs/\xff", "a/blobs/sha256/caf\xe9"}) {
    SCOPED_TRACE(path);
    if (*path != '\0') folder_.Write(path, "x");
    for (int i = 0; i < 2; ++i) {
      const Facts facts = Scan();
      EXPECT_THAT(facts.problems, Contains("b/\xff\xfe"));
      EXPECT_EQ(facts.problems.size(), *path == '\0' ? 1u : 2u);
      if (*path != '\0') {
        EXPECT_THAT(facts.problems, Contains(path));
      }
    }
    if (*path != '\0') folder_.Remove(path);
  }
}

}  // namespace
}  // namespace reclaim::store

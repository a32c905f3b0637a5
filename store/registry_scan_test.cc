// A registry's tree with things in it that we do not look into: what a scan
// can't judge it tells, in every scan, and never passes over in silence (I5).

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "store/content_store.h"
#include "store/open_store.h"
#include "store/testing/store_tree.h"

namespace reclaim::store {
namespace {

using ::reclaim::base::IsOk;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

constexpr char kTop[] = "docker/registry/v2/repositories/";

// What a scan said could not be judged.
class Doubts final : public ScanSink {
 public:
  absl::Status Accept(ScanBatch batch) override {
    for (const auto& f : batch.repositories) repositories.insert(f.repository);
    for (const auto& f : batch.tags) tags.insert(f.tag);
    for (const auto& f : batch.uploads) {
      uploads[f.upload_id] = f.bytes.logical_bytes;
    }
    for (const auto& f : batch.memberships) {
      if (f.is_empty) empty_links.insert({f.kind, f.digest.ToString()});
      links.insert({f.kind, f.digest.ToString()});
    }
    for (const auto& f : batch.strays) strays.insert(f.path);
    for (const auto& f : batch.problems) problems[f.path] = f.repository;
    for (const auto& f : batch.sections) {
      if (f.state != SectionState::kUnreadable) continue;
      EXPECT_FALSE(f.error.ok());
      unreadable.insert({f.kind, f.scope});
    }
    return absl::OkStatus();
  }
  bool IsCancelled() const override { return false; }

  std::set<std::string> repositories, tags, strays;
  std::set<std::pair<MembershipKind, std::string>> links, empty_links;
  std::map<std::string, std::string> problems;  // by path: whose
  std::map<std::string, uint64_t> uploads;      // bytes by id
  std::set<std::pair<SectionKind, std::string>> unreadable;
};

class RegistryScanTest : public ::testing::Test {
 protected:
  RegistryScanTest() { registry_.Image("app", "v1", {"one"}); }

  std::string Full(const std::string& path) const {
    return absl::StrCat(folder_.path(), "/", path);
  }
  void Symlink(const std::string& target, const std::string& path) const {
    std::filesystem::create_directories(
        std::filesystem::path(Full(path)).parent_path());
    ASSERT_EQ(symlink(target.c_str(), Full(path).c_str()), 0) << path;
  }
  void Pipe(const std::string& path) const {
    ASSERT_EQ(mkfifo(Full(path).c_str(), 0600), 0) << path;
  }
  void Move(const std::string& from, const std::string& to) const {
    std::filesystem::rename(Full(from), Full(to));
  }

  Doubts Scan() {
    if (store_ == nullptr) {
      auto store = OpenStore({StoreKind::kRegistry, folder_.path()}, true);
      EXPECT_THAT(store, IsOk());
      store_ = *std::move(store);
    }
    folder_.WaitForClock();
    Doubts doubts;
    // Long after the files of the test: they are settled.
    request_.now = absl::FromUnixSeconds(4102444800);
    const auto result = store_->Scan(request_, &doubts);
    EXPECT_THAT(result, IsOk());
    if (result.ok()) request_.memo = result->memo;
    return doubts;
  }

  // Told in every scan, memo or not, until it is taken away.
  void ExpectStoreKept(const std::string& path) {
    for (int i = 0; i < 3; ++i) {
      const Doubts doubts = Scan();
      EXPECT_THAT(doubts.problems, ElementsAre(Pair(path, "")));
      EXPECT_THAT(doubts.unreadable,
                  ElementsAre(Pair(SectionKind::kRepositories, "")));
    }
    ExpectPlainWithout(path);
  }
  void ExpectRepositoryKept(const std::string& path) {
    for (int i = 0; i < 3; ++i) {
      const Doubts doubts = Scan();
      EXPECT_THAT(doubts.problems, Contains(Pair(path, "app")));
      EXPECT_THAT(doubts.repositories, Contains("app"));
      for (const auto& [kind, scope] : doubts.unreadable) {
        EXPECT_EQ(scope, "app");
      }
    }
    ExpectPlainWithout(path);
  }
  void ExpectPlainWithout(const std::string& path) {
    folder_.Remove(path);
    const Doubts doubts = Scan();
    EXPECT_THAT(doubts.problems, IsEmpty());
    EXPECT_THAT(doubts.unreadable, IsEmpty());
  }

  TempFolder folder_;
  TempFolder elsewhere_;
  RegistryTree registry_{&folder_};
  ScanRequest request_;
  std::unique_ptr<ContentStore> store_;
};

TEST_F(RegistryScanTest, ALinkedRepositoryKeepsTheStore) {
  RegistryTree(&elsewhere_).Image("linked", "v1", {"one"});
  Symlink(absl::StrCat(elsewhere_.path(), "/", kTop, "linked"),
          absl::StrCat(kTop, "lnk"));
  ExpectStoreKept(absl::StrCat(kTop, "lnk"));
}

TEST_F(RegistryScanTest, ALinkedNamespaceKeepsTheStore) {
  registry_.Image("team/web", "v1", {"one"});
  Symlink("web", absl::StrCat(kTop, "team/also"));
  ExpectStoreKept(absl::StrCat(kTop, "team/also"));
}

TEST_F(RegistryScanTest, ALinkInARepositoryMayBeARepository) {
  Symlink("nowhere", absl::StrCat(kTop, "app/below"));
  ExpectStoreKept(absl::StrCat(kTop, "app/below"));
}

TEST_F(RegistryScanTest, ASpecialFileForARepositoryKeepsTheStore) {
  Pipe(absl::StrCat(kTop, "pipe"));
  ExpectStoreKept(absl::StrCat(kTop, "pipe"));
}

TEST_F(RegistryScanTest, AFileAmongRepositoriesIsAStray) {
  folder_.Write(absl::StrCat(kTop, "README"), "mine");
  folder_.Write(absl::StrCat(kTop, "Notes/README"), "mine");
  const Doubts doubts = Scan();
  EXPECT_THAT(doubts.problems, IsEmpty());
  EXPECT_THAT(doubts.unreadable, IsEmpty());
  EXPECT_THAT(doubts.strays, ElementsAre(absl::StrCat(kTop, "Notes/README"),
                                         absl::StrCat(kTop, "README")));
}

TEST_F(RegistryScanTest, ARepositoryWithoutAnAcceptedNameKeepsTheStore) {
  const std::string part(100, 'x');
  const std::string deep = absl::StrCat(part, "/", part, "/", part);
  for (const std::string& name :
       {std::string("Upper"), std::string(".hid"), std::string("we ird"),
        std::string("app/Upper"), std::string("a/b/_c/d/e"), deep}) {
    SCOPED_TRACE(name);
    registry_.Image(name, "v1", {"one"});
    const Doubts doubts = Scan();
    ASSERT_EQ(doubts.problems.size(), 1u);
    const std::string path = doubts.problems.begin()->first;
    EXPECT_THAT(absl::StrCat(kTop, name), ::testing::StartsWith(path));
    EXPECT_THAT(doubts.repositories, Not(Contains(name)));
    ExpectStoreKept(path);
  }
}

TEST_F(RegistryScanTest, ALinkBelowNoRepositoryKeepsTheStore) {
  Symlink("../app", absl::StrCat(kTop, ".hid/lower"));
  ExpectStoreKept(absl::StrCat(kTop, ".hid"));
}

// What distribution takes for a host stands before the path, in any case.
TEST_F(RegistryScanTest, AHostBeforeTheNameIsAPartOfIt) {
  for (const char* name : {"EXAMPLE.com/app", "Upper/case", "host:5000/a/b"}) {
    SCOPED_TRACE(name);
    registry_.Image(name, "v1", {"one"});
    const Doubts doubts = Scan();
    EXPECT_THAT(doubts.problems, IsEmpty());
    EXPECT_THAT(doubts.unreadable, IsEmpty());
    EXPECT_THAT(doubts.repositories, Contains(name));
  }
  Symlink("../app", absl::StrCat(kTop, "EXAMPLE.com/also"));
  ExpectStoreKept(absl::StrCat(kTop, "EXAMPLE.com/also"));
}

TEST_F(RegistryScanTest, ANameThatIsNoTextKeepsTheStore) {
  for (const char* path :
       {"caf\xe9/_manifests/tags", "\xff\xfe", "a/b\xc3/_layers", ".hid/\x80/x",
        "EXAMPLE.com/caf\xe9"}) {
    SCOPED_TRACE(path);
    folder_.Write(absl::StrCat(kTop, path, "/file"), "x");
    const Doubts doubts = Scan();
    ASSERT_EQ(doubts.problems.size(), 1u);
    ExpectStoreKept(doubts.problems.begin()->first);
    folder_.Remove(absl::StrCat(
        kTop, std::string(path).substr(0, std::string(path).find('/'))));
  }
}

TEST_F(RegistryScanTest, ANameThatIsNoTextKeepsItsRepository) {
  for (const char* path :
       {"_uploads/\xff\xfe", "_manifests/tags/caf\xe9",
        "_manifests/revisions/\xff", "_layers/sha256/\xff"}) {
    SCOPED_TRACE(path);
    const std::string full = absl::StrCat(kTop, "app/", path);
    folder_.Write(full + "/link", "x");
    ExpectRepositoryKept(full);
    folder_.Write(full, "a file");
    ExpectRepositoryKept(full);
  }
}

TEST_F(RegistryScanTest, ANameThatIsNoTextAmongBlobsKeepsThem) {
  constexpr char kBlobs[] = "docker/registry/v2/blobs/";
  for (const char* path : {"\xff", "sha256/\xff", "sha256/ab/\xff"}) {
    SCOPED_TRACE(path);
    const std::string full = absl::StrCat(kBlobs, path);
    folder_.Write(full + "/data", "x");
    for (int i = 0; i < 3; ++i) {
      const Doubts doubts = Scan();
      EXPECT_THAT(doubts.problems, ElementsAre(Pair(full, "")));
      EXPECT_THAT(doubts.unreadable,
                  ElementsAre(Pair(SectionKind::kBlobs, "")));
    }
    ExpectPlainWithout(full);
  }
}

TEST_F(RegistryScanTest, AnUploadIsAllThatLiesInIt) {
  registry_.Upload("app", "u1", "half");
  folder_.Write(absl::StrCat(kTop, "app/_uploads/u1/hashstates/sha256/4"),
                "a state");
  const Doubts doubts = Scan();
  ASSERT_EQ(doubts.uploads.size(), 1u);
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           Full(absl::StrCat(kTop, "app/_uploads/u1")))) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  EXPECT_EQ(doubts.uploads.at("u1"), bytes);
}

TEST_F(RegistryScanTest, ALinkedPartKeepsItsRepository) {
  for (const char* part : {"_manifests", "_layers"}) {
    SCOPED_TRACE(part);
    const std::string path = absl::StrCat(kTop, "app/", part);
    Move(path, absl::StrCat(kTop, "../", part));
    Symlink(absl::StrCat("../../", part), path);
    ExpectRepositoryKept(path);
    Pipe(path);
    ExpectRepositoryKept(path);
    folder_.Write(path, "a file");
    ExpectRepositoryKept(path);
  }
}

TEST_F(RegistryScanTest, ARepositoryOfLinksAloneIsKnown) {
  registry_.Image("lib", "v1", {"two"});
  for (const char* part : {"_manifests", "_layers"}) {
    const std::string path = absl::StrCat(kTop, "lib/", part);
    Move(path, absl::StrCat(kTop, "../", part));
    Symlink(absl::StrCat("../../", part), path);
  }
  const Doubts doubts = Scan();
  EXPECT_THAT(doubts.repositories, Contains("lib"));
  EXPECT_THAT(doubts.problems,
              Contains(Pair(absl::StrCat(kTop, "lib/_manifests"), "lib")));
}

TEST_F(RegistryScanTest, LinkedFoldersOfNamesKeepTheirRepository) {
  const oci::Digest image = oci::Digest::Sha256Of("an image");
  const std::string manifests = absl::StrCat(kTop, "app/_manifests/");
  for (const std::string& path :
       {manifests + "tags/latest", manifests + "revisions/sha512",
        absl::StrCat(manifests, "revisions/sha256/", image.hex()),
        absl::StrCat(kTop, "app/_layers/sha256/", image.hex())}) {
    SCOPED_TRACE(path);
    Symlink("v1", path);
    ExpectRepositoryKept(path);
    Pipe(path);
    ExpectRepositoryKept(path);
    folder_.Write(path, "a file leads nowhere");
    EXPECT_THAT(Scan().strays, Contains(path));
    ExpectPlainWithout(path);
  }
}

TEST_F(RegistryScanTest, ATagWithoutAnAcceptedNameKeepsItsRepository) {
  const oci::Digest image = registry_.Image("app", "", {"two"});
  for (const std::string& tag :
       {std::string(".dot"), std::string("we ird"), std::string(129, 't')}) {
    SCOPED_TRACE(tag);
    registry_.Tag("app", tag, image);
    const std::string path = absl::StrCat(kTop, "app/_manifests/tags/", tag);
    const Doubts doubts = Scan();
    EXPECT_THAT(doubts.tags, ElementsAre("v1"));
    EXPECT_THAT(doubts.unreadable,
                ElementsAre(Pair(SectionKind::kTags, "app")));
    ExpectRepositoryKept(path + "/current/link");
    folder_.Remove(path);
  }
  const std::string empty = absl::StrCat(kTop, "app/_manifests/tags/.empty");
  folder_.Write(empty + "/what", "?");
  const Doubts doubts = Scan();
  EXPECT_THAT(doubts.problems, IsEmpty());
  EXPECT_THAT(doubts.strays, Contains(empty));
}

// A registry was killed between opening it and writing it.  Whose it is says
// its path, so it keeps what it would keep, and nothing beside that.
TEST_F(RegistryScanTest, AnEmptyLinkIsOneToWhatItsPathSays) {
  const oci::Digest layer = oci::Digest::Sha256Of("one");
  const std::pair<MembershipKind, std::string> layer_link = {
      MembershipKind::kLayer, layer.ToString()};
  const std::string path =
      absl::StrCat(kTop, "app/_layers/sha256/", layer.hex(), "/link");
  const Doubts whole = Scan();
  ASSERT_THAT(whole.links, Contains(layer_link));
  EXPECT_THAT(whole.empty_links, IsEmpty());
  const oci::Digest revision = oci::Digest::Sha256Of("a manifest");
  folder_.Write(absl::StrCat(kTop, "app/_manifests/revisions/sha256/",
                             revision.hex(), "/link"),
                "");
  folder_.Write(path, "");
  request_.must_list_names = true;
  const Doubts empty = Scan();
  EXPECT_THAT(empty.empty_links,
              ElementsAre(Pair(MembershipKind::kRevision, revision.ToString()),
                          layer_link));
  std::set<std::pair<MembershipKind, std::string>> links = whole.links;
  links.insert({MembershipKind::kRevision, revision.ToString()});
  EXPECT_EQ(empty.links, links);
  EXPECT_THAT(empty.problems, IsEmpty());
  EXPECT_THAT(empty.unreadable, IsEmpty());
  // One that says something else than its path is another matter.
  folder_.Write(path, "sha256:");
  ExpectRepositoryKept(path);
}

// What it named nobody knows.
TEST_F(RegistryScanTest, AnEmptyTagKeepsItsRepository) {
  const std::string path =
      absl::StrCat(kTop, "app/_manifests/tags/v1/current/link");
  folder_.Write(path, "");
  ExpectRepositoryKept(path);
}

TEST_F(RegistryScanTest, ARevisionOfAnUnknownDigestKeepsItsRepository) {
  const std::string link = absl::StrCat(
      kTop, "app/_manifests/revisions/blake3/", std::string(64, 'a'), "/link");
  folder_.Write(link, "blake3:" + std::string(64, 'a'));
  ExpectRepositoryKept(link);
}

}  // namespace
}  // namespace reclaim::store

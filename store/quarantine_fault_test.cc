// One call of the system fails, and the store says neither "done" nor "gone" of
// what is there.  tests/faults does the same through a whole collection.

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "store/content_store.h"
#include "store/open_store.h"
#include "store/testing/deletion_permit_for_test.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::store {
namespace {

using ::reclaim::base::IsOk;

constexpr int kCallMax = 500;

// Trees in memory, where the kernel has it: hundreds of them are made, with an
// fsync for each step.
class TreesInMemory final : public ::testing::Environment {
 public:
  void SetUp() override {
    if (access("/dev/shm", W_OK) == 0) setenv("TEST_TMPDIR", "/dev/shm", 1);
  }
};
const ::testing::Environment* const kTreesInMemory =
    ::testing::AddGlobalTestEnvironment(new TreesInMemory);

constexpr char kLink[] =
    "docker/registry/v2/repositories/app/_manifests/tags/v1/current/link";

// A tree with one name in it.
class Tree {
 public:
  explicit Tree(StoreKind kind) : kind_(kind) {
    name_.kind = RemovalKind::kTag;
    name_.tag = "v1";
    if (kind == StoreKind::kRegistry) {
      name_.repository = "app";
      name_.digest = RegistryTree(&folder_).Image("app", "v1", {"layer"});
    } else {
      LayoutTree layout(&folder_, "a");
      name_.place = "a";
      name_.digest = layout.Image({"layer"});
      layout.Entry(*name_.digest, "v1");
    }
    Open();
  }

  void Open() {
    store_.reset();
    auto store = OpenStore({kind_, folder_.path()}, false);
    EXPECT_THAT(store, IsOk());
    store_ = *std::move(store);
  }

  absl::Status Quarantine() {
    return Only(store_->Quarantine(*permit_, "run", {name_}));
  }
  absl::Status Restore() { return Only(store_->Restore("run", {name_})); }
  absl::Status Purge() { return Only(store_->Purge(*permit_, "run", {name_})); }

  bool IsInQuarantine() const {
    const auto items = store_->ListQuarantine();
    EXPECT_THAT(items, IsOk());
    return items.ok() && !items->empty();
  }
  bool HasName() const {
    if (kind_ == StoreKind::kRegistry) return folder_.Exists(kLink);
    return absl::StrContains(folder_.Read("a/index.json"), "\"v1\"");
  }
  const TempFolder& folder() const { return folder_; }

 private:
  static absl::Status Only(
      const absl::StatusOr<std::vector<RemovalOutcome>>& outcomes) {
    return outcomes.ok() ? outcomes->at(0).status : outcomes.status();
  }

  const StoreKind kind_;
  TempFolder folder_;
  Removal name_;
  DeletionPermitForTest permit_;
  std::unique_ptr<ContentStore> store_;
};

// Has each call of `deed` fail once; `judge` gets what the deed said.
void FailEach(StoreKind kind, int error,
              const std::function<void(Tree*)>& begin,
              const std::function<absl::Status(Tree*)>& deed,
              const std::function<void(Tree*, const absl::Status&)>& judge) {
  for (int call = 0; call < kCallMax; ++call) {
    SCOPED_TRACE(absl::StrCat("call ", call));
    Tree tree(kind);
    begin(&tree);
    absl::Status said;
    bool has_failed = false;
    {
      base::ScopedErrno fault(error, call, /*is_lasting=*/false);
      said = deed(&tree);
      has_failed = !fault.failed().empty();
    }
    judge(&tree, said);
    if (!has_failed || ::testing::Test::HasFailure()) {
      EXPECT_GT(call, 5) << "a deed has more calls than that";
      return;
    }
  }
  FAIL() << "more calls than can be tried";
}

class QuarantineFaultTest : public ::testing::TestWithParam<StoreKind> {};

TEST_P(QuarantineFaultTest, ARestoreDoesNotTakeOneEnoentForGone) {
  FailEach(
      GetParam(), ENOENT,
      [](Tree* tree) { ASSERT_THAT(tree->Quarantine(), IsOk()); },
      [](Tree* tree) { return tree->Restore(); },
      [](Tree* tree, const absl::Status& said) {
        EXPECT_FALSE(absl::IsNotFound(said)) << said;
        if (!said.ok()) {
          // What had moved before the failure is back already.
          const absl::Status again = tree->Restore();
          EXPECT_TRUE(again.ok() || absl::IsNotFound(again)) << again;
        }
        EXPECT_FALSE(tree->IsInQuarantine());
        EXPECT_TRUE(tree->HasName());
      });
}

TEST_P(QuarantineFaultTest, ARestartedRestoreDoesNotEither) {
  FailEach(
      GetParam(), ENOENT,
      [](Tree* tree) {
        ASSERT_THAT(tree->Quarantine(), IsOk());
        tree->Open();  // the journal is read from the disk
      },
      [](Tree* tree) { return tree->Restore(); },
      [](Tree*, const absl::Status& said) {
        EXPECT_FALSE(absl::IsNotFound(said)) << said;
      });
}

TEST_P(QuarantineFaultTest, APurgeDoesNotTakeOneEnoentForGone) {
  FailEach(
      GetParam(), ENOENT,
      [](Tree* tree) { ASSERT_THAT(tree->Quarantine(), IsOk()); },
      [](Tree* tree) { return tree->Purge(); },
      [](Tree* tree, const absl::Status& said) {
        EXPECT_FALSE(absl::IsNotFound(said)) << said;
        if (said.ok()) {
          EXPECT_FALSE(tree->IsInQuarantine());
        }
      });
}

TEST_P(QuarantineFaultTest, WhatIsLeftOfTheFoldersGoesAtTheNextStart) {
  FailEach(
      GetParam(), ESTALE,
      [](Tree* tree) { ASSERT_THAT(tree->Quarantine(), IsOk()); },
      [](Tree* tree) { return tree->Purge(); },
      [](Tree* tree, const absl::Status& said) {
        if (!said.ok()) {
          const absl::Status again = tree->Purge();
          EXPECT_TRUE(again.ok() || absl::IsNotFound(again)) << again;
        }
        tree->Open();
        EXPECT_FALSE(tree->folder().Exists(".reclaim"));
      });
}

TEST_P(QuarantineFaultTest, AnEmptyFolderGoesAtTheNextStart) {
  Tree tree(GetParam());
  for (const char* left :
       {".reclaim", ".reclaim/quarantine", ".reclaim/quarantine/run",
        ".reclaim/quarantine/run/tree"}) {
    std::filesystem::create_directories(
        absl::StrCat(tree.folder().path(), "/", left));
    tree.Open();
    EXPECT_FALSE(tree.folder().Exists(".reclaim")) << left;
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, QuarantineFaultTest,
                         ::testing::Values(StoreKind::kRegistry,
                                           StoreKind::kImageLayout),
                         [](const auto& info) {
                           return info.param == StoreKind::kRegistry
                                      ? "Registry"
                                      : "ImageLayout";
                         });

// The registry had the link open when its folder was moved, and has written to
// it since: whatever fails, that word of a writer is not freed.
TEST(QuarantinedTagTest, ALinkThatCannotBeReadIsKept) {
  const std::string written = oci::Digest::Sha256Of("newer").ToString();
  for (const int error : {ENOENT, EIO, ESTALE, EACCES}) {
    FailEach(
        StoreKind::kRegistry, error,
        [&](Tree* tree) {
          ASSERT_THAT(tree->Quarantine(), IsOk());
          tree->folder().Write(
              absl::StrCat(".reclaim/quarantine/run/tree/", kLink), written);
        },
        [](Tree* tree) { return tree->Purge(); },
        [&](Tree* tree, const absl::Status& said) {
          EXPECT_FALSE(said.ok());
          EXPECT_FALSE(absl::IsNotFound(said)) << said;
          if (!absl::IsAborted(said)) {
            EXPECT_TRUE(absl::IsAborted(tree->Purge()) ||
                        tree->folder().Exists(kLink));
          }
          ASSERT_TRUE(tree->HasName());
          EXPECT_EQ(tree->folder().Read(kLink), written);
        });
  }
}

}  // namespace
}  // namespace reclaim::store

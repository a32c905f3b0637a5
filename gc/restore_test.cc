// What comes back with what (gc/restore.h).

#include <string>

#include "gc/collector_fixture.h"

namespace reclaim::gc {
namespace {

using index::NodeState;
using ::reclaim::base::IsOk;

class RestoreTest : public CollectorFixture {
 protected:
  // An image without a name, of a config and two layers.
  RestoreTest() {
    image_ = store::RegistryTree(&folder_).Image("app", "", {"base", "own"});
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  absl::Status HoldLayer() {
    index::PutLease lease;
    lease.store = "s";
    lease.id = "hold";
    index::Target target;
    target.content = index::ContentName{"s", "", layer_};
    lease.targets.push_back(target);
    return Record({lease});
  }
  absl::Status LetGo() {
    return Record(
        {index::RemoveNamed{"s", index::NodeKind::kLease, "", "hold"}});
  }

  oci::Digest image_;
  const oci::Digest layer_ = oci::Digest::Sha256Of("base");
};

// A layer that came back was taken by another run: half an image would be of no
// use, so the layer comes with it.
TEST_F(RestoreTest, ARunComesBackWithWhatItsImagesAreMadeOf) {
  const gc::Run first = Prune();
  ASSERT_EQ(StateOf(layer_), NodeState::kQuarantined);
  ASSERT_THAT(HoldLayer(), IsOk());
  ASSERT_EQ(StateOf(layer_), NodeState::kPresent)
      << "a reference restores (I4)";
  ASSERT_THAT(LetGo(), IsOk());
  const gc::Run second = Prune();
  ASSERT_EQ(second.blob_count, 1u);
  ASSERT_EQ(StateOf(layer_), NodeState::kQuarantined);
  ASSERT_THAT(RestoreRun(first.id), IsOk());
  EXPECT_EQ(StateOf(image_), NodeState::kPresent);
  EXPECT_EQ(StateOf(layer_), NodeState::kPresent);
  EXPECT_EQ(QuarantineCount(), 0u);
  ExpectExact();
}

TEST_F(RestoreTest, ARunComesBackWithoutTheRestOfAnother) {
  const oci::Digest stray = oci::Digest::Sha256Of("stray");
  const gc::Run first = Prune();
  store::RegistryTree(&folder_).Blob("stray");
  Age();
  Scan();
  Prune();
  ASSERT_EQ(StateOf(stray), NodeState::kQuarantined);
  ASSERT_THAT(RestoreRun(first.id), IsOk());
  EXPECT_EQ(StateOf(image_), NodeState::kPresent);
  EXPECT_EQ(StateOf(stray), NodeState::kQuarantined);
}

// A signature of a later run stays, and so does the link to it, which would
// lead nowhere.
TEST_F(RestoreTest, ALinkStaysWhereItsContentStays) {
  const store::RegistryTree tree(&folder_);
  const gc::Run first = Prune();
  ASSERT_EQ(StateOf(image_), NodeState::kQuarantined);
  const oci::Digest signature = tree.Image("app", "", {"signature"}, image_);
  Age();
  Scan();
  Prune();
  ASSERT_EQ(StateOf(signature), NodeState::kQuarantined);
  ASSERT_THAT(RestoreRun(first.id), IsOk());
  const size_t left = QuarantineCount();
  Scan();
  EXPECT_EQ(StateOf(image_), NodeState::kPresent);
  EXPECT_EQ(StateOf(signature), NodeState::kQuarantined);
  EXPECT_EQ(QuarantineCount(), left);
  EXPECT_FALSE(folder_.Exists(
      "docker/registry/v2/repositories/app/_manifests/revisions/sha256/" +
      signature.hex() + "/link"));
}

// A purge judges the link of what it must not free as that: else the content
// would come back and be served by nobody.
TEST_F(RestoreTest, APurgeLeavesTheLinkOfWhatItLeaves) {
  const store::RegistryTree tree(&folder_);
  const gc::Run first = Prune();
  const oci::Digest signature = tree.Image("app", "", {"signature"}, image_);
  Age();
  Scan();
  const gc::Run second = Prune();
  ASSERT_EQ(StateOf(signature), NodeState::kQuarantined);
  ASSERT_THAT(RestoreRun(first.id), IsOk());
  index::PutPin pin;
  pin.store = "s";
  pin.id = "p";
  pin.target.content = index::ContentName{"s", "", image_};
  ASSERT_THAT(Record({pin}), IsOk());
  ASSERT_THAT(PurgeNow(), IsOk());
  const auto restored = RestoreRun(second.id);
  EXPECT_TRUE(restored.ok() || absl::IsNotFound(restored.status()))
      << restored.status();
  Scan();
  EXPECT_EQ(StateOf(signature), NodeState::kPresent);
  EXPECT_TRUE(folder_.Exists(
      "docker/registry/v2/repositories/app/_manifests/revisions/sha256/" +
      signature.hex() + "/link"));
}

}  // namespace
}  // namespace reclaim::gc

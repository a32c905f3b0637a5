// Opening a graph on records: what it then says, and what it says of records
// that can't be one.  With few ids by one thread, with many by two.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/graph_records.h"
#include "index/graph_view.h"
#include "index/memory_engine.h"
#include "index/node.h"
#include "index/recount.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

constexpr NodeId kRepositoryCount = 10;
constexpr NodeId kImageCount = 12;  // of each
constexpr NodeId kLayerCount = 3;   // of each, and one of all
constexpr uint32_t kManyIds = 1 << 20;

// One whose scans of a family end before they begin.
class BrokenEngine final : public MemoryEngine {
 public:
  void Break(Family family) { broken_ = family; }
  absl::Status Scan(Family family, absl::string_view prefix,
                    absl::string_view from, Visitor visit) const override {
    if (family == broken_) return absl::UnavailableError("the disk is away");
    return MemoryEngine::Scan(family, prefix, from, visit);
  }

 private:
  Family broken_ = Family::kPolicy;
};

// The parameter: how many ids the database says that it has given, or 0 for as
// many as it has.
class OpenGraphTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  OpenGraphTest() {
    StoreRecord store;
    store.id = 0;
    store.name = "s";
    store.kind = store::StoreKind::kRegistry;
    Put(Family::kMeta, StoreKey(0), ToProto(store));
    storage::v1::PlaceRecord place;
    Put(Family::kMeta, PlaceKey(0), place);
    base_ = PutContent(NodeKind::kLayer, {});
    for (NodeId i = 0; i < kRepositoryCount; ++i) PutRepository(i);
    storage::v1::GraphState state;
    state.set_format_version(kFormatVersion);
    state.set_next_node_id(GetParam() == 0 ? next_ : GetParam());
    state.set_next_store_id(1);
    state.set_next_place_id(1);
    state.set_epoch(1);
    state.set_next_sequence(1);
    Put(Family::kMeta, kStateKey, state);
  }

  template <typename Record>
  void Put(Family family, const std::string& key, const Record& record) {
    Batch batch;
    batch.Put(family, key, record.SerializeAsString());
    EXPECT_THAT(engine_.Commit(batch, Durability::kDurable), IsOk());
  }
  NodeId PutContent(NodeKind kind, const std::vector<NodeId>& children) {
    storage::v1::ContentRecord record;
    record.set_id(next_);
    record.set_digest_algorithm(1);
    record.set_digest(
        std::string(oci::Digest::Sha256Of(absl::StrCat(next_)).bytes()));
    record.set_kind(static_cast<uint32_t>(kind));
    record.set_state(static_cast<uint32_t>(NodeState::kPresent));
    record.set_logical_bytes(100 + next_);
    record.set_allocated_bytes(4096);
    for (const NodeId child : children) record.add_children(child);
    Put(Family::kContent, IdKey(next_), record);
    return next_++;
  }
  NodeId PutNamed(NodeKind kind, const std::string& scope,
                  const std::string& name, const std::vector<NodeId>& targets) {
    storage::v1::NamedRecord record;
    record.set_id(next_);
    record.set_kind(static_cast<uint32_t>(kind));
    record.set_scope(scope);
    record.set_name(name);
    for (const NodeId target : targets) record.add_targets(target);
    Put(Family::kNamed, IdKey(next_), record);
    return next_++;
  }
  void PutLink(NodeId repository, NodeId content, store::MembershipKind kind) {
    storage::v1::MembershipRecord record;
    record.set_repository(repository);
    record.set_content(content);
    record.set_kind(static_cast<uint32_t>(kind));
    record.set_linked(content);
    Put(Family::kMembership, MembershipKey(repository, content, kind), record);
  }
  // Every other image has a tag.
  void PutRepository(NodeId number) {
    const std::string name = absl::StrCat("r", number);
    const NodeId repository = PutNamed(NodeKind::kRepository, "", name, {});
    repositories_.push_back(repository);
    PutLink(repository, base_, store::MembershipKind::kLayer);
    for (NodeId i = 0; i < kImageCount; ++i) {
      std::vector<NodeId> children = {PutContent(NodeKind::kConfig, {}), base_};
      for (NodeId k = 0; k < kLayerCount; ++k) {
        children.push_back(PutContent(NodeKind::kLayer, {}));
      }
      const NodeId image = PutContent(NodeKind::kManifest, children);
      images_.push_back(image);
      for (const NodeId child : children) {
        PutLink(repository, child, store::MembershipKind::kLayer);
      }
      PutLink(repository, image, store::MembershipKind::kRevision);
      if (i % 2 == 0) {
        PutNamed(NodeKind::kTag, name, absl::StrCat("v", i), {image});
      }
    }
  }

  // A record of before, changed.
  template <typename Record>
  void Change(Family family, NodeId id,
              const std::function<void(Record*)>& change) {
    const auto value = engine_.Get(family, IdKey(id));
    ASSERT_TRUE(value.ok() && value->has_value());
    Record record;
    ASSERT_TRUE(record.ParseFromString(**value));
    change(&record);
    Put(family, IdKey(id), record);
  }
  absl::StatusOr<std::unique_ptr<ReferenceGraph>> Open() {
    GraphOptions options;
    options.grace_period = absl::ZeroDuration();
    return ReferenceGraph::Open(&engine_, &clock_, options);
  }
  void ExpectDamage(absl::string_view why) {
    EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss,
                                 HasSubstr(std::string(why))));
  }

  BrokenEngine engine_;
  base::SimulatedClock clock_;
  NodeId next_ = 0;
  NodeId base_ = kNoNode;
  std::vector<NodeId> repositories_;
  std::vector<NodeId> images_;
};

INSTANTIATE_TEST_SUITE_P(Threads, OpenGraphTest,
                         ::testing::Values(0u, kManyIds));

TEST_P(OpenGraphTest, TheGraphIsWhatTheRecordsSay) {
  const auto graph = Open();
  ASSERT_THAT(graph, IsOk());
  const auto reader = (*graph)->Read();
  const GraphView& view = reader->view();
  ASSERT_EQ(view.node_count(), next_);
  RecountInputs inputs;
  inputs.store = 0;
  inputs.now = clock_.Now();
  const StoreTotals& totals = reader->totals(0);
  EXPECT_EQ(totals, Recount(view, inputs)) << ToString(totals);
  EXPECT_EQ(totals.image_count, kRepositoryCount * kImageCount);
  EXPECT_EQ(totals.dangling_image_count, totals.image_count / 2);
  for (size_t i = 0; i < images_.size(); ++i) {
    const NodeId image = images_[i];
    EXPECT_EQ(reader->IsLive(image), i % 2 == 0) << i;
    ASSERT_EQ(view.Kept(image).size(), size_t{kLayerCount} + 2);
    for (const NodeId child : view.Kept(image)) {
      EXPECT_EQ(reader->IsLive(child), i % 2 == 0 || child == base_) << i;
      EXPECT_EQ(view.LinkedAt(repositories_[i / kImageCount], child,
                              store::MembershipKind::kLayer),
                absl::FromUnixMicros(child));
    }
    const oci::Digest digest = oci::Digest::Sha256Of(absl::StrCat(image));
    EXPECT_EQ(view.FindContent(0, digest), image);
    EXPECT_EQ(view.digest(image), digest);
  }
  EXPECT_EQ(reader->ReferenceCount(base_), images_.size() / 2);
  std::vector<NodeId> repositories;
  view.ForEachRepositoryOf(base_, [&](NodeId repository) {
    repositories.push_back(repository);
    return true;
  });
  EXPECT_EQ(repositories, repositories_);
}

TEST_P(OpenGraphTest, RecordsThatAreNoneAreDamage) {
  for (const Family family :
       {Family::kContent, Family::kNamed, Family::kMembership}) {
    SCOPED_TRACE(ToString(family));
    const std::string key = "\xff\xff\xff\xf0";
    Batch batch;
    batch.Put(family, key, "\x08");
    ASSERT_THAT(engine_.Commit(batch, Durability::kDurable), IsOk());
    ExpectDamage(absl::StrCat("a record of the family ", ToString(family)));
    Batch undo;
    undo.Delete(family, key);
    ASSERT_THAT(engine_.Commit(undo, Durability::kDurable), IsOk());
    ASSERT_THAT(Open(), IsOk());
  }
}

TEST_P(OpenGraphTest, OneDigestTwiceInAPlaceIsDamage) {
  Change<storage::v1::ContentRecord>(
      Family::kContent, images_.back(),
      [&](storage::v1::ContentRecord* record) {
        record->set_digest(
            std::string(oci::Digest::Sha256Of(absl::StrCat(base_)).bytes()));
      });
  ExpectDamage(absl::StrCat("the content record ", images_.back(),
                            " has the digest of another record"));
}

TEST_P(OpenGraphTest, ARecordUnderAnotherKeyIsThereTwice) {
  Change<storage::v1::ContentRecord>(
      Family::kContent, images_.back(),
      [&](storage::v1::ContentRecord* record) { record->set_id(base_); });
  ExpectDamage(absl::StrCat("the content record ", base_, " is there twice"));
}

// The counters take the one for a file, and the other for its subject.
TEST_P(OpenGraphTest, AFileThatIsALayerIsDamage) {
  Change<storage::v1::ContentRecord>(
      Family::kContent, images_[1],
      [&](storage::v1::ContentRecord* record) { record->set_extent(base_); });
  ExpectDamage(absl::StrCat("the content record ", images_[1],
                            " has a file that is none of its store"));
}

TEST_P(OpenGraphTest, ASubjectThatIsANameIsDamage) {
  Change<storage::v1::ContentRecord>(Family::kContent, images_[1],
                                     [&](storage::v1::ContentRecord* record) {
                                       record->set_subject(repositories_[0]);
                                     });
  ExpectDamage(absl::StrCat("the content record ", images_[1],
                            " has a subject that is a name"));
}

TEST_P(OpenGraphTest, LinksOfNobodyAreDamage) {
  PutLink(kNoNode - 1, base_, store::MembershipKind::kLayer);
  ExpectDamage("is of no repository");
}

TEST_P(OpenGraphTest, LinksOfAManifestAreDamage) {
  PutLink(images_[0], base_, store::MembershipKind::kLayer);
  ExpectDamage(absl::StrCat("the membership record ", images_[0],
                            " is of no repository"));
}

TEST_P(OpenGraphTest, LinksToANameAreDamage) {
  PutLink(repositories_[0], repositories_[1], store::MembershipKind::kLayer);
  ExpectDamage(absl::StrCat("the membership record ", repositories_[0],
                            " links to no content"));
}

// Of what is damaged in two ways the nodes are told first, whoever of the two
// threads is done first.
TEST_P(OpenGraphTest, NodesAreToldBeforeLinks) {
  PutLink(images_[0], base_, store::MembershipKind::kLayer);
  Change<storage::v1::NamedRecord>(
      Family::kNamed, repositories_[0],
      [&](storage::v1::NamedRecord* record) { record->set_store(7); });
  ExpectDamage(
      absl::StrCat("the named record ", repositories_[0], " is of no store"));
}

TEST_P(OpenGraphTest, ADiskThatFailsIsNoDamage) {
  for (const Family family :
       {Family::kContent, Family::kNamed, Family::kMembership}) {
    SCOPED_TRACE(ToString(family));
    engine_.Break(family);
    EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kUnavailable,
                                 HasSubstr("the disk is away")));
  }
}

}  // namespace
}  // namespace reclaim::index

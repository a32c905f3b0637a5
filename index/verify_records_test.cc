// Records that are changed behind the graph's back: `verify` finds each.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/graph_records.h"
#include "index/graph_view.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "index/verify.h"
#include "oci/digest.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

using base::IsOk;
using storage::v1::ContentRecord;
using storage::v1::MembershipRecord;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr NodeId kStrangeId = 9999;

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

// app:v1 and a signature of it, with their links.
class VerifyRecordsTest : public ::testing::Test {
 protected:
  VerifyRecordsTest() {
    GraphOptions options;
    options.grace_period = absl::ZeroDuration();
    auto graph = ReferenceGraph::Open(&engine_, &clock_, options);
    EXPECT_THAT(graph, IsOk());
    graph_ = *std::move(graph);
    StoreRecord store;
    store.name = "s";
    EXPECT_THAT(graph_->RegisterStore(store), IsOk());
    const std::string image = store::ImageText({D("config"), D("layer")});
    const std::string signature =
        store::ImageText({D("{}"), D("note")}, D(image));
    Mutation mutation;
    mutation.operations = {Blob("config"),
                           Blob("layer"),
                           Blob("{}"),
                           Blob("note"),
                           Manifest(image),
                           Manifest(signature),
                           PutTag{"s", "app", "v1", D(image), "", std::nullopt},
                           Link(image, store::MembershipKind::kRevision),
                           Link(signature, store::MembershipKind::kRevision),
                           Link("layer", store::MembershipKind::kLayer)};
    EXPECT_THAT(graph_->Apply(mutation, Durability::kDurable), IsOk());
    image_ = Find(D(image));
    signature_ = Find(D(signature));
    layer_ = Find(D("layer"));
    const auto reader = graph_->Read();
    tag_ = reader->view().FindNamed({NodeKind::kTag, 0, "app", "v1"});
    repository_ =
        reader->view().FindNamed({NodeKind::kRepository, 0, "", "app"});
  }

  static PutBlob Blob(const std::string& bytes) {
    PutBlob put;
    put.name = {"s", "", D(bytes)};
    put.bytes = {bytes.size(), 4096};
    return put;
  }
  static PutManifest Manifest(const std::string& bytes) {
    PutManifest put;
    put.name = {"s", "", D(bytes)};
    put.bytes = bytes;
    return put;
  }
  static PutMembership Link(const std::string& bytes,
                            store::MembershipKind kind) {
    PutMembership put;
    put.store = "s";
    put.repository = "app";
    put.digest = D(bytes);
    put.kind = kind;
    return put;
  }

  NodeId Find(const oci::Digest& digest) const {
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    return view.FindContent(view.FindPlace(0, ""), digest);
  }

  std::vector<Finding> Findings() {
    std::vector<Finding> findings;
    VerifyOptions options;
    options.on_finding = [&findings](const Finding& finding) {
      findings.push_back(finding);
    };
    EXPECT_THAT(Verify(graph_.get(), "s", nullptr, clock_, options), IsOk());
    return findings;
  }

  std::optional<std::string> Get(Family family, const std::string& key) const {
    const auto value = engine_.Get(family, key);
    EXPECT_THAT(value, IsOk());
    return value.ok() ? *value : std::nullopt;
  }
  // Behind the graph's back; unset deletes.
  void Set(Family family, const std::string& key,
           const std::optional<std::string>& value) {
    Batch batch;
    if (value) {
      batch.Put(family, key, *value);
    } else {
      batch.Delete(family, key);
    }
    ASSERT_THAT(engine_.Commit(batch, Durability::kBuffered), IsOk());
  }

  // With `value` there nothing but this is found, and nothing afterwards.
  void ExpectFinding(Family family, const std::string& key,
                     const std::optional<std::string>& value,
                     const std::string& check, const std::string& detail) {
    SCOPED_TRACE(detail);
    const std::optional<std::string> before = Get(family, key);
    Set(family, key, value);
    const std::vector<Finding> findings = Findings();
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].check, check);
    EXPECT_EQ(findings[0].severity, FindingSeverity::kDamage);
    EXPECT_THAT(findings[0].detail, HasSubstr(detail));
    EXPECT_FALSE(findings[0].advice.empty());
    subject_ = findings[0].subject;
    Set(family, key, before);
    EXPECT_THAT(Findings(), IsEmpty());
  }

  // With the record that `edit` makes of the one that is there.
  template <typename Record>
  void ExpectMismatch(Family family, const std::string& key,
                      const std::function<void(Record*)>& edit,
                      const std::string& detail) {
    const std::optional<std::string> value = Get(family, key);
    ASSERT_TRUE(value.has_value());
    Record record;
    ASSERT_TRUE(record.ParseFromString(*value));
    edit(&record);
    ExpectFinding(family, key, record.SerializeAsString(), "record-mismatch",
                  detail);
  }
  void ExpectContentMismatch(NodeId node,
                             const std::function<void(ContentRecord*)>& edit,
                             const std::string& detail) {
    ExpectMismatch<ContentRecord>(Family::kContent, IdKey(node), edit, detail);
  }
  void ExpectTagMismatch(
      const std::function<void(storage::v1::NamedRecord*)>& edit,
      const std::string& detail) {
    ExpectMismatch<storage::v1::NamedRecord>(Family::kNamed, IdKey(tag_), edit,
                                             detail);
  }
  std::string LinkKey(NodeId content, store::MembershipKind kind) const {
    return MembershipKey(repository_, content, kind);
  }

  MemoryEngine engine_;
  base::SimulatedClock clock_;
  std::unique_ptr<ReferenceGraph> graph_;
  NodeId image_ = kNoNode;
  NodeId signature_ = kNoNode;
  NodeId layer_ = kNoNode;
  NodeId tag_ = kNoNode;
  NodeId repository_ = kNoNode;
  std::string subject_;  // of the last finding
};

TEST_F(VerifyRecordsTest, ARecordOfContentThatIsAnother) {
  ASSERT_THAT(Findings(), IsEmpty());
  ExpectContentMismatch(
      layer_,
      [](ContentRecord* record) {
        record->set_kind(static_cast<uint32_t>(NodeKind::kBlob));
      },
      "the kinds differ");
  EXPECT_THAT(subject_, HasSubstr("content record "));
  ExpectContentMismatch(
      layer_,
      [](ContentRecord* record) {
        record->set_state(static_cast<uint32_t>(NodeState::kQuarantined));
      },
      "the states differ");
  ExpectContentMismatch(
      layer_,
      [](ContentRecord* record) {
        record->set_digest(std::string(D("another").bytes()));
      },
      "the digests differ");
  ExpectContentMismatch(
      layer_, [](ContentRecord* record) { record->set_place(7); },
      "the places differ");
  ExpectContentMismatch(
      layer_, [](ContentRecord* record) { record->set_allocated_bytes(512); },
      "the sizes differ");
  ExpectContentMismatch(
      layer_, [](ContentRecord* record) { record->set_link_count(3); },
      "the link counts differ");
  ExpectContentMismatch(
      image_, [](ContentRecord* record) { record->clear_children(); },
      "the edges differ");
  ExpectFinding(Family::kContent, IdKey(layer_), "\xff", "record-mismatch",
                "is damaged");
}

TEST_F(VerifyRecordsTest, ASubjectOnOneSideAlone) {
  ExpectContentMismatch(
      image_, [this](ContentRecord* record) { record->set_subject(layer_); },
      "the subjects differ");
  ExpectContentMismatch(
      signature_, [](ContentRecord* record) { record->clear_subject(); },
      "the graph has a subject of it that its record does not have");
}

TEST_F(VerifyRecordsTest, ASubjectOfManyReferrers) {
  const std::string image = store::ImageText({D("config"), D("layer")});
  ASSERT_EQ(Find(D(image)), image_);
  Mutation mutation;
  std::vector<std::string> notes;
  for (int i = 0; i < 100; ++i) {
    notes.push_back(
        store::ImageText({D("{}"), D(absl::StrCat("note ", i))}, D(image)));
    mutation.operations.push_back(Manifest(notes.back()));
  }
  ASSERT_THAT(graph_->Apply(mutation, Durability::kDurable), IsOk());
  EXPECT_THAT(Findings(), IsEmpty());
  ExpectContentMismatch(
      layer_, [this](ContentRecord* record) { record->set_subject(image_); },
      "the subjects differ");
  ExpectContentMismatch(
      Find(D(notes[50])),
      [](ContentRecord* record) { record->clear_subject(); },
      "the graph has a subject of it that its record does not have");
}

TEST_F(VerifyRecordsTest, ARecordOfANameThatIsAnother) {
  ExpectTagMismatch(
      [](storage::v1::NamedRecord* record) { record->set_name("v2"); },
      "the names differ");
  EXPECT_THAT(subject_, HasSubstr("named record "));
  ExpectTagMismatch(
      [](storage::v1::NamedRecord* record) { record->set_logical_bytes(1); },
      "the sizes differ");
  ExpectTagMismatch(
      [this](storage::v1::NamedRecord* record) {
        record->set_targets(0, layer_);
      },
      "the edges differ");
  storage::v1::NamedRecord strange;
  strange.set_id(layer_);
  ExpectFinding(Family::kNamed, IdKey(layer_), strange.SerializeAsString(),
                "record-mismatch", "the kinds differ");
}

TEST_F(VerifyRecordsTest, ARecordThatNothingStandsFor) {
  ContentRecord record;
  ASSERT_TRUE(record.ParseFromString(*Get(Family::kContent, IdKey(layer_))));
  ExpectFinding(Family::kContent, IdKey(kStrangeId), record.SerializeAsString(),
                "record-mismatch", "it lies under the key of another");
  record.set_id(kStrangeId);
  ExpectFinding(Family::kContent, IdKey(kStrangeId), record.SerializeAsString(),
                "record-mismatch", "the record has no node");
  storage::v1::NamedRecord name;
  name.set_id(kStrangeId);
  ExpectFinding(Family::kNamed, IdKey(kStrangeId), name.SerializeAsString(),
                "record-mismatch", "the record has no node");
}

TEST_F(VerifyRecordsTest, ARecordOfALinkThatIsAnother) {
  const std::string key = LinkKey(layer_, store::MembershipKind::kLayer);
  ExpectMismatch<MembershipRecord>(
      Family::kMembership, key,
      [](MembershipRecord* record) {
        record->set_linked(record->linked() + 1);
      },
      "the times differ");
  EXPECT_THAT(subject_, HasSubstr("membership record "));
  ExpectMismatch<MembershipRecord>(
      Family::kMembership, key,
      [](MembershipRecord* record) { record->set_is_only_name(true); },
      "it is no only name");
}

TEST_F(VerifyRecordsTest, ARecordOfALinkThatIsNot) {
  MembershipRecord record;
  record.set_repository(repository_);
  record.set_content(layer_);
  record.set_kind(static_cast<uint32_t>(store::MembershipKind::kRevision));
  const std::string key = LinkKey(layer_, store::MembershipKind::kRevision);
  ExpectFinding(Family::kMembership, key, record.SerializeAsString(),
                "record-mismatch", "the graph has no such link");
  record.set_kind(static_cast<uint32_t>(store::MembershipKind::kLayer));
  ExpectFinding(Family::kMembership, key, record.SerializeAsString(),
                "record-mismatch", "it lies under the key of another");
  record.set_repository(kStrangeId);
  ExpectFinding(
      Family::kMembership,
      MembershipKey(kStrangeId, layer_, store::MembershipKind::kLayer),
      record.SerializeAsString(), "record-mismatch", "it is of no repository");
}

TEST_F(VerifyRecordsTest, WhatHasNoRecord) {
  const char* const detail = "in memory and not on disk";
  for (const NodeId node : {layer_, signature_}) {
    ExpectFinding(Family::kContent, IdKey(node), std::nullopt, "missing-record",
                  detail);
    EXPECT_EQ(subject_, absl::StrCat("node ", node));
  }
  ExpectFinding(Family::kNamed, IdKey(tag_), std::nullopt, "missing-record",
                detail);
  EXPECT_EQ(subject_, absl::StrCat("node ", tag_));
  ExpectFinding(Family::kMembership,
                LinkKey(layer_, store::MembershipKind::kLayer), std::nullopt,
                "missing-record", detail);
  EXPECT_EQ(subject_, absl::StrCat("app@", D("layer").ToString()));
}

// What is beyond the times of the arrays is no mismatch.
TEST_F(VerifyRecordsTest, ALinkOfAFarTimeIsWhatItsRecordSays) {
  Mutation mutation;
  PutMembership link = Link("layer", store::MembershipKind::kLayer);
  link.linked = absl::FromUnixSeconds(int64_t{1} << 40);
  mutation.operations = {link};
  ASSERT_THAT(graph_->Apply(mutation, Durability::kDurable), IsOk());
  EXPECT_THAT(Findings(), IsEmpty());
}

// Each store has findings of its own.
TEST_F(VerifyRecordsTest, ARecordOfAnotherStoreIsItsOwn) {
  StoreRecord other;
  other.name = "other";
  ASSERT_THAT(graph_->RegisterStore(other), IsOk());
  Mutation mutation;
  PutBlob blob = Blob("elsewhere");
  blob.name.store = "other";
  PutMembership link = Link("elsewhere", store::MembershipKind::kLayer);
  link.store = "other";
  mutation.operations = {blob, link};
  ASSERT_THAT(graph_->Apply(mutation, Durability::kDurable), IsOk());
  const auto clear = [this](Family family) {
    Batch batch;
    EXPECT_THAT(engine_.Scan(family, "", "",
                             [&](absl::string_view key, absl::string_view) {
                               batch.Delete(family, std::string(key));
                               return true;
                             }),
                IsOk());
    EXPECT_THAT(engine_.Commit(batch, Durability::kBuffered), IsOk());
  };
  clear(Family::kMembership);
  clear(Family::kContent);
  EXPECT_EQ(Findings().size(), 9u) << "six of content, three links";
}

}  // namespace
}  // namespace reclaim::index

// The deletion feed of a store whose bytes its owner deletes: each row as he
// reads it, for it is all that he has to go by.

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "rpc/server_fixture.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
using Collection = v1::CollectionService::Stub;
using Feed = std::map<std::string, v1::Event>;  // by digest
using Graph = v1::GraphService::Stub;

std::string Sum(const std::string& text) {
  return oci::Digest::Sha256Of(text).ToString();
}

class ExternalFeedTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    for (const char* name : {"e", "other"}) {
      AddExternalStore(name);
      RecordImage(name);
    }
    last_ = Read({}, "").sequence;
  }

  // One that nothing names.
  void RecordImage(const std::string& store) {
    v1::RecordRequest request;
    for (const char* blob : {"config", "layer"}) {
      AddBlob(blob, &request, store);
    }
    AddManifest(image_, &request, store);
    v1::PutVolume* volume = request.add_operations()->mutable_put_volume();
    volume->set_store(store);
    volume->set_name("left");
    volume->set_is_anonymous(true);
    Record(request);
  }

  struct Rows {
    std::vector<v1::Event> events;
    uint64_t sequence = 0;  // of the last of them
  };
  // All rows after last_.
  Rows Read(const std::vector<v1::EventKind>& kinds, const std::string& store) {
    v1::WatchEventsRequest request;
    request.set_after_sequence(last_);
    request.set_store(store);
    request.set_limit(1000);
    for (const v1::EventKind kind : kinds) request.add_kinds(kind);
    grpc::ClientContext context;
    const auto reader = collection_stub_->WatchEvents(&context, request);
    v1::WatchEventsResponse batch;
    Rows rows;
    rows.sequence = last_;
    while (reader->Read(&batch)) {
      for (const v1::Event& event : batch.events()) {
        EXPECT_GT(event.sequence(), rows.sequence) << "ascending";
        rows.sequence = event.sequence();
        rows.events.push_back(event);
      }
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return rows;
  }
  // What the owner of "e" hears of its content since he asked last.
  Feed Next(v1::EventKind kind) {
    const Rows rows = Read({v1::EVENT_KIND_QUARANTINED, v1::EVENT_KIND_RESTORED,
                            v1::EVENT_KIND_PURGED},
                           "e");
    last_ = rows.sequence;
    Feed feed;
    for (const v1::Event& event : rows.events) {
      EXPECT_EQ(event.kind(), kind) << event.DebugString();
      EXPECT_EQ(event.node().store(), "e");
      EXPECT_EQ(event.node().place(), "");
      EXPECT_EQ(event.node().name(), "");
      EXPECT_EQ(event.event_time().seconds(),
                absl::ToUnixSeconds(clock_.Now()));
      EXPECT_THAT(event.actor(), StartsWith("uid:"));
      EXPECT_TRUE(feed.emplace(event.node().digest(), event).second)
          << "told twice: " << event.DebugString();
    }
    return feed;
  }
  static std::vector<std::string> DigestsOf(const Feed& feed) {
    std::vector<std::string> digests;
    for (const auto& [digest, event] : feed) digests.push_back(digest);
    return digests;
  }
  // The image and its parts, each with its own figures.
  void ExpectWholeImage(Feed feed, const std::string& run) {
    ASSERT_THAT(DigestsOf(feed),
                UnorderedElementsAre(Sum(image_), Sum("config"), Sum("layer")));
    for (const auto& [digest, event] : feed) EXPECT_EQ(event.run_id(), run);
    const v1::Node& manifest = feed[Sum(image_)].node();
    EXPECT_EQ(manifest.kind(), v1::NODE_KIND_MANIFEST);
    EXPECT_EQ(manifest.bytes().logical_bytes(), image_.size());
    const v1::Node& config = feed[Sum("config")].node();
    EXPECT_EQ(config.kind(), v1::NODE_KIND_CONFIG);
    EXPECT_EQ(config.bytes().logical_bytes(), 6u);
    const v1::Node& layer = feed[Sum("layer")].node();
    EXPECT_EQ(layer.kind(), v1::NODE_KIND_LAYER);
    EXPECT_EQ(layer.bytes().logical_bytes(), 5u);
    EXPECT_EQ(layer.bytes().allocated_bytes(), 4096u);
  }

  v1::Run Prune(v1::PruneVerb verb = v1::PRUNE_VERB_IMAGES,
                bool purge = false) {
    v1::CreatePlanRequest create;
    create.set_store("e");
    create.set_verb(verb);
    return PlanAndApply(create, purge);
  }
  v1::NodeState StateOf(const std::string& text) {
    v1::GetNodeRequest request;
    request.mutable_content()->set_store("e");
    request.mutable_content()->set_digest(Sum(text));
    v1::GetNodeResponse response;
    EXPECT_TRUE(Ask(graph_stub_, &Graph::GetNode, request, &response).ok());
    return response.node().state();
  }

  const std::string image_ = store::ImageText(
      {oci::Digest::Sha256Of("config"), oci::Digest::Sha256Of("layer")});
  uint64_t last_ = 0;
};

TEST_F(ExternalFeedTest, WhatIsPrunedRestoredAndPurgedIsToldRowByRow) {
  clock_.Advance(absl::Minutes(1));
  const v1::Run first = Prune();
  Feed taken = Next(v1::EVENT_KIND_QUARANTINED);
  ExpectWholeImage(taken, first.id());
  const std::string until =
      absl::StrCat("; restorable until ",
                   absl::FormatTime(absl::RFC3339_sec,
                                    clock_.Now() + policy_.quarantine_period,
                                    absl::UTCTimeZone()));
  EXPECT_EQ(taken[Sum(image_)].detail(),
            absl::StrCat("dangling: no tag names it", until));
  EXPECT_EQ(taken[Sum("layer")].detail(),
            absl::StrCat("unreferenced: only referenced by ", Sum(image_),
                         ", which nothing keeps", until));
  EXPECT_EQ(StateOf("layer"), v1::NODE_STATE_QUARANTINED);

  clock_.Advance(absl::Minutes(1));
  v1::RestoreRequest restore;
  restore.set_run_id(first.id());
  v1::Run run;
  ASSERT_TRUE(Ask(collection_stub_, &Collection::Restore, restore, &run).ok());
  EXPECT_EQ(Await(run).item_count(), 3u);
  Feed back = Next(v1::EVENT_KIND_RESTORED);
  ExpectWholeImage(back, first.id());
  EXPECT_EQ(back[Sum(image_)].detail(), "dangling: no tag names it");
  EXPECT_EQ(StateOf("layer"), v1::NODE_STATE_PRESENT);

  const v1::Run second = Prune();
  EXPECT_THAT(Next(v1::EVENT_KIND_QUARANTINED), ::testing::SizeIs(3));
  clock_.Advance(absl::Minutes(1));
  const v1::Run purged = PurgeNow("e");
  EXPECT_EQ(purged.phase(), v1::RUN_PHASE_SUCCEEDED);
  EXPECT_EQ(purged.item_count(), 3u);
  // The run that took it, as in the row before.
  ExpectWholeImage(Next(v1::EVENT_KIND_PURGED), second.id());
  EXPECT_EQ(StateOf("layer"), v1::NODE_STATE_ABSENT);
  EXPECT_THAT(Next(v1::EVENT_KIND_PURGED), IsEmpty()) << "each once";
}

// He must not delete what was named again before he came to it.
TEST_F(ExternalFeedTest, WhatAWriterWantsIsTakenBack) {
  const v1::Run run = Prune();
  EXPECT_THAT(Next(v1::EVENT_KIND_QUARANTINED), ::testing::SizeIs(3));
  v1::CheckBlobsRequest check;
  check.add_names()->set_digest(Sum("layer"));
  check.mutable_names(0)->set_store("e");
  v1::CheckBlobsResponse there;
  ASSERT_TRUE(Ask(graph_stub_, &Graph::CheckBlobs, check, &there).ok());
  EXPECT_TRUE(there.exists(0));
  const Feed back = Next(v1::EVENT_KIND_RESTORED);
  EXPECT_THAT(DigestsOf(back), UnorderedElementsAre(Sum("layer")));
  EXPECT_EQ(back.begin()->second.run_id(), run.id());
  PurgeNow("e");
  EXPECT_THAT(DigestsOf(Next(v1::EVENT_KIND_PURGED)),
              UnorderedElementsAre(Sum(image_), Sum("config")));
  EXPECT_EQ(StateOf("layer"), v1::NODE_STATE_PRESENT);
}

TEST_F(ExternalFeedTest, WithoutUndoBothRowsComeAtOnce) {
  const v1::Run run = Prune(v1::PRUNE_VERB_IMAGES, true);
  const Rows all = Read({v1::EVENT_KIND_QUARANTINED, v1::EVENT_KIND_RESTORED,
                         v1::EVENT_KIND_PURGED},
                        "e");
  std::map<v1::EventKind, std::vector<std::string>> rows;
  for (const v1::Event& event : all.events) {
    EXPECT_EQ(event.run_id(), run.id());
    rows[event.kind()].push_back(event.node().digest());
  }
  EXPECT_THAT(rows[v1::EVENT_KIND_QUARANTINED], ::testing::SizeIs(3));
  EXPECT_THAT(
      rows[v1::EVENT_KIND_PURGED],
      ::testing::UnorderedElementsAreArray(rows[v1::EVENT_KIND_QUARANTINED]));
  EXPECT_EQ(rows.size(), 2u);
}

// Records that are no content go with a row of their own kind.
TEST_F(ExternalFeedTest, ANameThatIsPrunedIsToldAsWell) {
  Prune(v1::PRUNE_VERB_VOLUMES);
  const std::vector<v1::Event> gone =
      Read({v1::EVENT_KIND_REMOVED}, "e").events;
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].node().kind(), v1::NODE_KIND_VOLUME);
  EXPECT_EQ(gone[0].node().name(), "left");
  EXPECT_EQ(gone[0].node().store(), "e");
  EXPECT_THAT(gone[0].actor(), StartsWith("uid:"));
  EXPECT_THAT(Next(v1::EVENT_KIND_QUARANTINED), IsEmpty());
}

TEST_F(ExternalFeedTest, AnotherStoreHearsNothingOfIt) {
  Prune();
  EXPECT_THAT(Read({v1::EVENT_KIND_QUARANTINED}, "other").events, IsEmpty());
  EXPECT_THAT(Read({v1::EVENT_KIND_QUARANTINED}, "").events,
              ::testing::SizeIs(3));
}

}  // namespace
}  // namespace reclaim::rpc

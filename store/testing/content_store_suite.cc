#include "store/testing/content_store_suite.h"

#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace reclaim::store {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::IsEmpty;
using ::testing::SizeIs;

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

void ExpectAllOk(const absl::StatusOr<std::vector<RemovalOutcome>>& outcomes,
                 size_t count) {
  ASSERT_THAT(outcomes, IsOk());
  ASSERT_THAT(*outcomes, SizeIs(count));
  for (const RemovalOutcome& outcome : *outcomes) {
    EXPECT_THAT(outcome.status, IsOk());
  }
}

void ExpectAll(const absl::StatusOr<std::vector<RemovalOutcome>>& outcomes,
               absl::StatusCode code) {
  ASSERT_THAT(outcomes, IsOk());
  for (const RemovalOutcome& outcome : *outcomes) {
    EXPECT_EQ(outcome.status.code(), code) << outcome.status;
    EXPECT_EQ(outcome.bytes.total(), Bytes());
  }
}

}  // namespace

absl::Status ScanPicture::Accept(ScanBatch batch) {
  for (const auto& f : batch.repositories) {
    facts.insert(absl::StrCat("repository ", f.repository, " in ", f.place));
  }
  for (const auto& f : batch.blobs) {
    facts.insert(absl::StrCat("blob ", f.place, " ", f.digest.ToString(), " ",
                              f.stat.bytes.logical_bytes, " ",
                              absl::ToUnixMicros(f.stat.modified)));
    blobs[f.digest.ToString()] = f.stat.bytes;
  }
  // Image layouts keep one time for all of their names.
  for (const auto& f : batch.tags) {
    facts.insert(absl::StrCat("tag ", f.repository, ":", f.tag, " ",
                              f.digest.ToString()));
  }
  for (const auto& f : batch.memberships) {
    facts.insert(absl::StrCat("member ", f.repository, "@", f.digest.ToString(),
                              " ", static_cast<int>(f.kind)));
  }
  for (const auto& f : batch.uploads) facts.insert("upload " + f.upload_id);
  for (const auto& f : batch.strays) facts.insert("stray " + f.path);
  for (const auto& f : batch.problems) facts.insert("problem " + f.path);
  for (const auto& f : batch.sections) {
    if (f.state == SectionState::kUnreadable) ++unreadable_count;
  }
  return absl::OkStatus();
}

ContentStoreSuite::ContentStoreSuite() : world_(GetParam()()) {
  named_ = world_->PutImage("v1", {"shared", "of the named"});
  unnamed_ = world_->PutImage("", {"shared", "of the unnamed"});
  Reopen();
}

void ContentStoreSuite::Reopen(bool is_read_only) {
  store_.reset();
  auto store = world_->Open(is_read_only);
  ASSERT_THAT(store, IsOk());
  store_ = *std::move(store);
}

ScanPicture ContentStoreSuite::Scan() const {
  ScanPicture picture;
  ScanRequest request;
  request.now = absl::Now();
  EXPECT_THAT(store_->Scan(request, &picture), IsOk());
  return picture;
}

bool ContentStoreSuite::IsThere(const oci::Digest& digest) const {
  const auto stat = store_->Stat(world_->place(), digest);
  EXPECT_TRUE(stat.ok() || absl::IsNotFound(stat.status())) << stat.status();
  return stat.ok();
}

Removal ContentStoreSuite::Blob(const oci::Digest& digest) const {
  Removal removal;
  removal.kind = RemovalKind::kBlob;
  removal.place = world_->place();
  removal.digest = digest;
  return removal;
}

Removal ContentStoreSuite::Tag(const std::string& tag,
                               const oci::Digest& digest) const {
  Removal removal = Revision(digest);
  removal.kind = RemovalKind::kTag;
  removal.tag = tag;
  return removal;
}

Removal ContentStoreSuite::Revision(const oci::Digest& digest) const {
  Removal removal;
  removal.kind = RemovalKind::kRevisionLink;
  removal.place = world_->place();
  removal.repository = world_->repository();
  removal.digest = digest;
  return removal;
}

void ContentStoreSuite::Quarantine(const std::vector<Removal>& removals) {
  ExpectAllOk(store_->Quarantine(*permit_, "run-1", removals), removals.size());
}
void ContentStoreSuite::Restore(const std::vector<Removal>& removals) {
  ExpectAllOk(store_->Restore("run-1", removals), removals.size());
}
void ContentStoreSuite::Purge(const std::vector<Removal>& removals) {
  ExpectAllOk(store_->Purge(*permit_, "run-1", removals), removals.size());
}

TEST_P(ContentStoreSuite, AScanReportsWhatIsThere) {
  const ScanPicture picture = Scan();
  EXPECT_EQ(picture.unreadable_count, 0u);
  for (const std::string& bytes :
       {std::string("shared"), std::string("of the named"),
        std::string("of the unnamed")}) {
    ASSERT_EQ(picture.blobs.count(D(bytes).ToString()), 1u) << bytes;
    EXPECT_EQ(picture.blobs.at(D(bytes).ToString()).logical_bytes,
              bytes.size());
  }
  const std::string in = world_->repository();
  EXPECT_EQ(
      picture.facts.count(absl::StrCat("tag ", in, ":v1 ", named_.ToString())),
      1u);
  EXPECT_EQ(picture.facts.count(
                absl::StrCat("member ", in, "@", unnamed_.ToString(), " 1")),
            1u);
}

TEST_P(ContentStoreSuite, ACancelledScanEnds) {
  ScanPicture picture;
  picture.is_cancelled = true;
  EXPECT_THAT(store_->Scan({}, &picture),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST_P(ContentStoreSuite, ReadsAndVerifies) {
  EXPECT_EQ(*store_->Read(world_->place(), D("shared"), 6), "shared");
  EXPECT_THAT(store_->Read(world_->place(), D("shared"), 5),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(store_->Read(world_->place(), D("none"), 5),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->VerifyDigest(world_->place(), D("shared")), IsOk());
  world_->Damage(D("shared"));
  EXPECT_THAT(store_->VerifyDigest(world_->place(), D("shared")),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_P(ContentStoreSuite, VerifiesInQuarantine) {
  const Removal whole = Blob(D("shared"));
  const Removal torn = Blob(unnamed_);
  EXPECT_THAT(store_->VerifyQuarantined("run-1", whole),
              StatusIs(absl::StatusCode::kNotFound));
  world_->Damage(unnamed_);
  Quarantine({whole, torn});
  EXPECT_THAT(store_->VerifyQuarantined("run-1", whole), IsOk());
  EXPECT_THAT(store_->VerifyQuarantined("run-1", torn),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(store_->VerifyQuarantined("run-2", whole),
              StatusIs(absl::StatusCode::kNotFound));
  Reopen();
  EXPECT_THAT(store_->VerifyQuarantined("run-1", whole), IsOk());
}

TEST_P(ContentStoreSuite, CapacityIsNeverLessThanWhatIsFree) {
  const auto capacity = store_->GetCapacity();
  ASSERT_THAT(capacity, IsOk());
  EXPECT_GT(capacity->capacity_bytes, 0u);
  EXPECT_LE(capacity->available_bytes, capacity->capacity_bytes);
}

TEST_P(ContentStoreSuite, QuarantineHidesAndRestoreGivesBack) {
  const std::vector<Removal> all = {Tag("v1", named_), Revision(unnamed_),
                                    Blob(unnamed_), Blob(D("of the unnamed"))};
  const ScanPicture before = Scan();
  Quarantine(all);
  EXPECT_FALSE(IsThere(unnamed_));
  EXPECT_TRUE(IsThere(named_));
  const ScanPicture hidden = Scan();
  EXPECT_EQ(hidden.blobs.count(unnamed_.ToString()), 0u);
  EXPECT_EQ(hidden.facts.count(absl::StrCat("tag ", world_->repository(),
                                            ":v1 ", named_.ToString())),
            0u);
  EXPECT_THAT(*store_->ListQuarantine(), SizeIs(all.size()));
  Reopen();
  EXPECT_THAT(*store_->ListQuarantine(), SizeIs(all.size()))
      << "a restart forgets nothing";
  Restore(all);
  EXPECT_EQ(Scan().facts, before.facts);
  EXPECT_THAT(*store_->ListQuarantine(), IsEmpty());
}

TEST_P(ContentStoreSuite, PurgeFreesWhatWasMeasured) {
  const std::vector<Removal> all = {Blob(unnamed_), Blob(D("of the unnamed"))};
  const auto measured = store_->Measure(all);
  ASSERT_THAT(measured, IsOk());
  const Bytes expected = Scan().blobs.at(unnamed_.ToString()) +
                         Scan().blobs.at(D("of the unnamed").ToString());
  EXPECT_EQ(measured->content, expected);
  Quarantine(all);
  RemovalBytes listed;
  const auto held = store_->ListQuarantine();
  ASSERT_THAT(held, IsOk());
  for (const QuarantinedItem& item : *held) {
    listed += item.bytes;
  }
  EXPECT_EQ(listed.content, expected);
  const auto outcomes = store_->Purge(*permit_, "run-1", all);
  ASSERT_THAT(outcomes, IsOk());
  RemovalBytes freed;
  for (const RemovalOutcome& outcome : *outcomes) freed += outcome.bytes;
  EXPECT_EQ(freed.content, expected);
  EXPECT_THAT(*store_->ListQuarantine(), IsEmpty());
  ExpectAll(store_->Restore("run-1", all), absl::StatusCode::kNotFound);
}

TEST_P(ContentStoreSuite, MeasuredInPiecesItIsTheSame) {
  const std::vector<Removal> all = {Tag("v1", named_), Revision(unnamed_),
                                    Blob(unnamed_), Blob(D("of the unnamed")),
                                    Blob(D("none"))};
  const auto whole = store_->Measure(all);
  ASSERT_THAT(whole, IsOk());
  const ScanPicture before = Scan();
  for (const size_t size : {size_t{1}, size_t{2}, all.size()}) {
    const std::unique_ptr<RemovalMeter> meter = store_->NewMeter();
    std::vector<SharedFile> shared;
    for (size_t at = 0; at < all.size(); at += size) {
      ASSERT_THAT(
          meter->Add(absl::MakeConstSpan(all).subspan(at, size), &shared),
          IsOk());
    }
    const auto sum = meter->Finish();
    ASSERT_THAT(sum, IsOk());
    EXPECT_EQ(sum->content, whole->content) << size;
    EXPECT_EQ(sum->metadata, whole->metadata) << size;
    EXPECT_EQ(sum->held, whole->held) << size;
    EXPECT_EQ(shared.size(), whole->shared.size()) << size;
  }
  EXPECT_EQ(Scan().facts, before.facts);
}

TEST_P(ContentStoreSuite, MeasuringChangesNothing) {
  const ScanPicture before = Scan();
  EXPECT_THAT(store_->Measure({Tag("v1", named_), Blob(unnamed_),
                               Blob(unnamed_), Blob(D("none"))}),
              IsOk());
  EXPECT_EQ(Scan().facts, before.facts);
}

TEST_P(ContentStoreSuite, OnlyWhatIsInQuarantineIsPurged) {
  const std::vector<Removal> all = {Blob(unnamed_), Tag("v1", named_)};
  const ScanPicture before = Scan();
  ExpectAll(store_->Purge(*permit_, "run-1", all), absl::StatusCode::kNotFound);
  Quarantine(all);
  // Another run's quarantine is not this one's.
  ExpectAll(store_->Purge(*permit_, "run-2", all), absl::StatusCode::kNotFound);
  Restore(all);
  EXPECT_EQ(Scan().facts, before.facts);
}

TEST_P(ContentStoreSuite, EachStepIsIdempotent) {
  const std::vector<Removal> all = {Revision(unnamed_), Blob(unnamed_)};
  Quarantine(all);
  ExpectAll(store_->Quarantine(*permit_, "run-1", all),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(*store_->ListQuarantine(), SizeIs(2));
  Restore(all);
  ExpectAll(store_->Restore("run-1", all), absl::StatusCode::kNotFound);
  EXPECT_TRUE(IsThere(unnamed_));
  Quarantine(all);
  Purge(all);
  ExpectAll(store_->Purge(*permit_, "run-1", all), absl::StatusCode::kNotFound);
}

TEST_P(ContentStoreSuite, OneItemsFailureIsItsOwn) {
  const std::vector<Removal> all = {Blob(D("none")), Blob(unnamed_),
                                    Tag("no-such-tag", named_)};
  const auto outcomes = store_->Quarantine(*permit_, "run-1", all);
  ASSERT_THAT(outcomes, IsOk());
  ASSERT_THAT(*outcomes, SizeIs(3));
  EXPECT_THAT((*outcomes)[0].status, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT((*outcomes)[1].status, IsOk());
  EXPECT_THAT((*outcomes)[2].status, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_FALSE(IsThere(unnamed_));
}

TEST_P(ContentStoreSuite, WhatWasWrittenAnewIsNotOverwritten) {
  const std::vector<Removal> all = {Blob(D("of the unnamed"))};
  Quarantine(all);
  world_->PutBlob("of the unnamed");
  const auto refused = store_->Restore("run-1", all);
  ExpectAll(refused, absl::StatusCode::kAlreadyExists);
  EXPECT_EQ((*refused)[0].quarantined_size,
            std::string("of the unnamed").size());
  EXPECT_TRUE(IsThere(D("of the unnamed")));
  Purge(all);
  EXPECT_TRUE(IsThere(D("of the unnamed"))) << "ours went, theirs stands";
}

TEST_P(ContentStoreSuite, ATagThatNamesSomethingElseStays) {
  const auto outcomes =
      store_->Quarantine(*permit_, "run-1", {Tag("v1", unnamed_)});
  ASSERT_THAT(outcomes, IsOk());
  EXPECT_FALSE((*outcomes)[0].status.ok());
  EXPECT_EQ(Scan().facts.count(absl::StrCat("tag ", world_->repository(),
                                            ":v1 ", named_.ToString())),
            1u);
}

TEST_P(ContentStoreSuite, AReadOnlyStoreRefuses) {
  Reopen(true);
  EXPECT_TRUE(store_->traits().is_read_only);
  EXPECT_THAT(store_->Quarantine(*permit_, "run-1", {Blob(unnamed_)}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(store_->Restore("run-1", {Blob(unnamed_)}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(store_->Purge(*permit_, "run-1", {Blob(unnamed_)}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_TRUE(IsThere(unnamed_));
}

TEST_P(ContentStoreSuite, AnIdThatIsAPathIsRefused) {
  for (const char* id : {"", "../x", "a/b", "A", ".", "x\n"}) {
    EXPECT_THAT(store_->Quarantine(*permit_, id, {Blob(unnamed_)}),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << id;
  }
  EXPECT_TRUE(IsThere(unnamed_));
}

TEST_P(ContentStoreSuite, RunsBesideEachOtherLoseNothing) {
  std::vector<oci::Digest> blobs;
  for (int i = 0; i < 40; ++i) {
    blobs.push_back(world_->PutBlob(absl::StrCat("blob ", i)));
  }
  const ScanPicture before = Scan();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string run = absl::StrCat("run-", t);
      for (int round = 0; round < 3; ++round) {
        std::vector<Removal> mine;
        for (size_t i = static_cast<size_t>(t); i < blobs.size(); i += 4) {
          mine.push_back(Blob(blobs[i]));
        }
        ExpectAllOk(store_->Quarantine(*permit_, run, mine), mine.size());
        ExpectAllOk(store_->Restore(run, mine), mine.size());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Scan().facts, before.facts);
}

}  // namespace reclaim::store

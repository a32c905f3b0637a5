#include "gc/records.h"

#include "absl/types/span.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/record_fields.h"
#include "gc/run_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/memory_engine.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1767323045);

PlanItem Item(int number) {
  PlanItem item;
  item.node = static_cast<index::NodeId>(number);
  item.kind = index::NodeKind::kTag;
  item.scope = "app";
  item.name = absl::StrCat("v", number);
  item.digest = oci::Digest::Sha256Of(item.name);
  store::Removal removal;
  removal.kind = store::RemovalKind::kTag;
  removal.place = "p";
  removal.repository = "app";
  removal.tag = item.name;
  removal.digest = item.digest;
  item.removal = removal;
  item.bytes = {10, 4096};
  item.reason = DoomReason::kUnused;
  item.detail = "no container uses the image";
  item.linked_by = {"app", "lib/base"};
  item.last_used = absl::InfinitePast();
  item.unreferenced_since = kNow;
  return item;
}

void ExpectEqual(const PlanItem& a, const PlanItem& b) {
  EXPECT_EQ(a.node, b.node);
  EXPECT_EQ(a.kind, b.kind);
  ASSERT_EQ(a.removal.has_value(), b.removal.has_value());
  if (a.removal) {
    EXPECT_TRUE(*a.removal == *b.removal);
  }
  EXPECT_EQ(a.scope, b.scope);
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.digest, b.digest);
  EXPECT_EQ(a.bytes, b.bytes);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.detail, b.detail);
  EXPECT_EQ(a.linked_by, b.linked_by);
  EXPECT_EQ(a.last_used, b.last_used);
  EXPECT_EQ(a.unreferenced_since, b.unreferenced_since);
}

WholePlan SomePlan(int item_count) {
  WholePlan plan;
  plan.id = "00000000000000aa";
  plan.store = "s";
  plan.store_id = 3;
  plan.epoch = 9;
  plan.created = kNow;
  plan.expires = kNow + absl::Hours(1);
  plan.request.store = "s";
  plan.request.verb = PruneVerb::kAllImages;
  plan.request.filter.labels = {{"k", "v", true}, {"x", std::nullopt, false}};
  plan.request.filter.times = {{TimeClock::kUsed, kNow}};
  plan.request.filter.dangling = false;
  plan.request.policy.grace_period = absl::Minutes(5);
  plan.kept_scopes = {{"app", "torn"}};
  for (int i = 0; i < item_count; ++i) plan.items.push_back(Item(i));
  plan.totals.item_count = plan.items.size();
  plan.totals.bytes.content = {70, 80};
  return plan;
}

TEST(RecordsTest, AnItemSurvives) {
  PlanItem link = Item(1);
  link.node = index::kNoNode;
  link.unreferenced_since = absl::InfiniteFuture();
  PlanItem record = Item(2);
  record.removal.reset();
  record.digest.reset();
  const std::vector<PlanItem> items = {Item(0), link, record};
  const auto decoded = DecodeItems(*EncodeItems(items));
  ASSERT_THAT(decoded, IsOk());
  ASSERT_EQ(decoded->size(), items.size());
  for (size_t i = 0; i < items.size(); ++i)
    ExpectEqual((*decoded)[i], items[i]);
}

TEST(RecordsTest, APlanSurvives) {
  const auto decoded = DecodePlan(*EncodePlan({SomePlan(0), "run"}));
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->run_id, "run");
  const Plan& plan = decoded->plan;
  EXPECT_EQ(plan.id, "00000000000000aa");
  EXPECT_EQ(plan.epoch, 9u);
  EXPECT_EQ(plan.expires, kNow + absl::Hours(1));
  EXPECT_EQ(plan.request.policy.grace_period, absl::Minutes(5));
  ASSERT_EQ(plan.request.filter.labels.size(), 2u);
  EXPECT_TRUE(plan.request.filter.labels[0].is_negative);
  EXPECT_EQ(plan.request.filter.labels[1].value, std::nullopt);
  EXPECT_EQ(plan.request.filter.times[0].before, kNow);
  EXPECT_EQ(plan.request.filter.dangling, false);
  EXPECT_EQ(plan.totals.bytes.content, (store::Bytes{70, 80}));
  EXPECT_EQ(plan.kept_scopes[0].why, "torn");
}

TEST(RecordsTest, ARunSurvives) {
  StoredRun stored;
  stored.run.id = "r";
  stored.run.kind = RunKind::kPurge;
  stored.run.phase = RunPhase::kPartial;
  stored.run.started = kNow;
  stored.run.ended = absl::InfiniteFuture();
  stored.run.restorable_until = absl::InfinitePast();
  stored.run.skipped = {{"x", SkipReason::kTouched, "why"}};
  stored.run.problems = {"p"};
  stored.run.bytes.metadata = {1, 2};
  stored.next_item = 77;
  const auto decoded = DecodeRun(*EncodeRun(stored));
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->next_item, 77u);
  EXPECT_EQ(decoded->run.kind, RunKind::kPurge);
  EXPECT_EQ(decoded->run.ended, absl::InfiniteFuture());
  EXPECT_EQ(decoded->run.restorable_until, absl::InfinitePast());
  EXPECT_EQ(decoded->run.skipped[0].reason, SkipReason::kTouched);
  EXPECT_EQ(decoded->run.bytes.metadata, (store::Bytes{1, 2}));
}

TEST(RecordsTest, NamesThatAreQuarantinedComeBackAsTheyWere) {
  QuarantineRecord record;
  record.item = Item(1);
  record.quarantined = kNow;
  record.restorable_until = kNow;
  index::PutContainer container;
  container.store = "s";
  container.id = "web";
  container.labels = {{"a", "b"}};
  container.writable = store::Bytes{2, 2};
  record.named = index::NamedRecord(container);
  const auto decoded = DecodeQuarantine(*EncodeQuarantine(record));
  ASSERT_THAT(decoded, IsOk());
  ASSERT_TRUE(decoded->named.has_value());
  const auto operation = ToOperation(*decoded->named);
  const auto& put = std::get<index::PutContainer>(operation);
  EXPECT_EQ(put.id, "web");
  EXPECT_EQ(put.labels, container.labels);
  EXPECT_EQ(put.writable, container.writable);
}

TEST(RecordsTest, WhatIsKnownOfACacheSurvives) {
  CacheEvidence evidence;
  evidence.forgotten_until = kNow;
  evidence.canaries = {{"app", oci::Digest::Sha256Of("x")}};
  evidence.remembered = kNow + absl::Hours(2);
  evidence.earlier = {kNow - absl::Hours(2), kNow - absl::Hours(1)};
  auto bytes = EncodeEvidence(evidence);
  ASSERT_THAT(bytes, IsOk());
  auto read = DecodeEvidence(*bytes);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->forgotten_until, evidence.forgotten_until);
  EXPECT_EQ(read->remembered, evidence.remembered);
  EXPECT_EQ(read->earlier, evidence.earlier);
  ASSERT_EQ(read->canaries.size(), 1u);
  EXPECT_EQ(read->canaries[0].repository, "app");
  EXPECT_EQ(read->canaries[0].digest, evidence.canaries[0].digest);
  // As versions before this one have written it.
  bytes = EncodeEvidence({kNow, {}, absl::InfinitePast()});
  ASSERT_THAT(bytes, IsOk());
  read = DecodeEvidence(*bytes);
  ASSERT_THAT(read, IsOk());
  EXPECT_TRUE(read->earlier.empty());
}

TEST(RecordsTest, DamageIsSaid) {
  EXPECT_THAT(DecodePlan("\xff\xff"), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(DecodeRun(""),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("version 0")));
  EXPECT_THAT(DecodeQuarantine("\xff"), StatusIs(absl::StatusCode::kDataLoss));
}

// A start by mistake of an older version moves nothing aside.
TEST(RecordsTest, ALaterVersionIsNoDamage) {
  EXPECT_THAT(codec::CheckVersion(kRecordVersion + 1, "run"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("start the version that wrote it")));
}

// What protobuf would write and refuse to read is not written.
TEST(RecordsTest, WhatIsNoTextIsRefused) {
  const auto is_refused =
      StatusIs(absl::StatusCode::kInvalidArgument,
               testing::HasSubstr("\"caf\\xe9\" is not UTF-8"));
  const std::string bad = "caf\xe9";
  PlanItem item = Item(1);
  item.removal->repository = bad;
  EXPECT_THAT(EncodeItems({item}), is_refused);
  StoredPlan plan{SomePlan(0), "run"};
  plan.plan.kept_scopes[0].why = bad;
  EXPECT_THAT(EncodePlan(plan), is_refused);
  StoredRun run;
  run.run.problems = {bad};
  EXPECT_THAT(EncodeRun(run), is_refused);
  EXPECT_THAT(RunStore::RunWrite(run), is_refused);
  QuarantineRecord record;
  record.item = Item(2);
  record.actor = bad;
  EXPECT_THAT(EncodeQuarantine(record), is_refused);
  EXPECT_THAT(RunStore::QuarantineWrites({{record}, {}}), is_refused);
  CacheEvidence evidence;
  evidence.canaries = {{bad, oci::Digest::Sha256Of("x")}};
  EXPECT_THAT(EncodeEvidence(evidence), is_refused);
  EXPECT_THAT(RunStore::EvidenceWrite(0, evidence), is_refused);
}

class RunStoreTest : public ::testing::Test {
 protected:
  RunStoreTest() {
    auto opened = RunStore::Open(&engine_);
    EXPECT_THAT(opened, IsOk());
    runs_ = *std::move(opened);
  }
  int ItemRecordCount() const {
    int count = 0;
    EXPECT_THAT(engine_.Scan(index::Family::kPlan, "i/", "",
                             [&](absl::string_view, absl::string_view) {
                               ++count;
                               return true;
                             }),
                IsOk());
    return count;
  }
  index::MemoryEngine engine_;
  std::unique_ptr<RunStore> runs_;
};

TEST_F(RunStoreTest, ItemsArePagedAcrossChunks) {
  const WholePlan plan = SomePlan(700);
  // Pieces of any size, and chunks of one.
  const std::unique_ptr<PlanWriter> writer = runs_->NewPlan(plan.id);
  size_t at = 0;
  for (const size_t size : {size_t{1}, size_t{0}, size_t{600}, size_t{99}}) {
    const auto piece = absl::MakeConstSpan(plan.items).subspan(at, size);
    ASSERT_THAT(writer->Add({piece.begin(), piece.end()}), IsOk());
    at += size;
  }
  EXPECT_THAT(runs_->GetPlan(plan.id), StatusIs(absl::StatusCode::kNotFound))
      << "it stands with all of its items";
  ASSERT_THAT(writer->Finish(plan), IsOk());
  for (const uint64_t offset : {0, 255, 256, 511, 699, 700, 9999}) {
    const auto page = runs_->GetItems(plan.id, offset, 300);
    ASSERT_THAT(page, IsOk());
    const uint64_t left = offset < 700 ? 700 - offset : 0;
    ASSERT_EQ(page->size(), std::min<uint64_t>(left, 300));
    if (!page->empty()) ExpectEqual(page->front(), plan.items[offset]);
  }
  ASSERT_THAT(runs_->DeletePlan(plan.id), IsOk());
  EXPECT_THAT(runs_->GetItems(plan.id, 0, 1),
              base::IsOkAndHolds(::testing::IsEmpty()));
  EXPECT_THAT(runs_->DeletePlan(plan.id),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(RunStoreTest, APlanThatIsNotFinishedLeavesNothing) {
  const WholePlan whole = SomePlan(600);
  {
    const auto writer = runs_->NewPlan(whole.id);
    ASSERT_THAT(writer->Add(whole.items), IsOk());
    EXPECT_GT(ItemRecordCount(), 0);
  }
  EXPECT_EQ(ItemRecordCount(), 0);
}

TEST_F(RunStoreTest, WhatACrashCutOffIsDroppedWhenItIsOpened) {
  WholePlan whole = SomePlan(600);
  for (const char* id : {"00000000000000aa", "00000000000000ff"}) {
    whole.id = id;
    const auto writer = runs_->NewPlan(whole.id);
    ASSERT_THAT(writer->Add(whole.items), IsOk());
    ASSERT_THAT(writer->Finish(whole), IsOk());
  }
  const int finished_count = ItemRecordCount();
  {
    auto writer = runs_->NewPlan("00000000000000bb");
    ASSERT_THAT(writer->Add(whole.items), IsOk());
    auto other = runs_->NewPlan("00000000000000cc");
    ASSERT_THAT(other->Add(whole.items), IsOk());
    // No commit comes through any more: the writers can't clean up.
    base::ScopedFault fault("engine.commit", absl::UnavailableError("crash"));
    EXPECT_FALSE(writer->Finish(whole).ok());
    EXPECT_FALSE(other->Add(whole.items).ok());
    writer.reset();
    other.reset();
  }
  EXPECT_GT(ItemRecordCount(), finished_count);
  auto opened = RunStore::Open(&engine_);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(ItemRecordCount(), finished_count);
  for (const char* id : {"00000000000000aa", "00000000000000ff"}) {
    const auto items = (*opened)->GetItems(id, 0, 1000);
    ASSERT_THAT(items, IsOk());
    EXPECT_EQ(items->size(), 600u) << id;
  }
}

TEST_F(RunStoreTest, RunsComeNewestFirstInPages) {
  for (int i = 0; i < 5; ++i) {
    StoredRun stored;
    stored.run.id = absl::StrCat("run", i);
    stored.run.started = kNow + absl::Seconds(i);
    ASSERT_THAT(runs_->PutRun(stored), IsOk());
  }
  const auto page = runs_->ListRuns("run3", 2);
  ASSERT_THAT(page, IsOk());
  ASSERT_EQ(page->size(), 2u);
  EXPECT_EQ((*page)[0].run.id, "run2");
  EXPECT_EQ((*page)[1].run.id, "run1");
  EXPECT_THAT(runs_->ListRuns("none", 2),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(RunStoreTest, TheQuarantineIsFoundByDigestAlsoAfterAStart) {
  QuarantineRecord record;
  record.run_id = "r";
  record.number = 5;
  record.store = "s";
  record.item = Item(1);
  record.quarantined = kNow;
  record.restorable_until = kNow;
  const QuarantineChanges changes{{record}, {}};
  index::Batch batch;
  const auto writes = RunStore::QuarantineWrites(changes);
  ASSERT_THAT(writes, IsOk());
  for (const index::RecordWrite& write : *writes) {
    batch.Put(write.family, write.key, *write.value);
  }
  ASSERT_THAT(engine_.Commit(batch, index::Durability::kDurable), IsOk());
  runs_->Note(changes);
  const auto find = [&] {
    return *runs_->FindQuarantined("s", "p", *record.item.digest);
  };
  EXPECT_EQ(find().size(), 1u);
  auto opened = RunStore::Open(&engine_);
  ASSERT_THAT(opened, IsOk());
  runs_ = *std::move(opened);
  EXPECT_EQ(find().size(), 1u);
  runs_->Note({{}, {{"r", 5}}});
  EXPECT_TRUE(find().empty());
}

}  // namespace
}  // namespace reclaim::gc

// Random requests through the API until there were a hundred thousand commits,
// of one to three operations each: content, names, uses, records, leases and
// pins (rpc/random_mutations.h), with prunes, restores and purges in between.
// After every commit of a request, and every such deed, all counters, of which
// `df` is made, are those of a recount of the whole graph from nothing (I6).
// After every stream of requests, and every deed, the answer of `df` is what is
// counted by the definition of each of its figures
// (tests/support/naive_usage.h).  Every fifty streams `verify` finds nothing,
// records included (but that snapshots were removed which others stand on, and
// so it is), and every 250 `df` says what it says after everything was read
// from the database again.
//
// RECLAIM_SEED repeats a run.

#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/plan.h"
#include "gc/policy.h"
#include "gc/prune_request.h"
#include "gc/run.h"
#include "index/recount.h"
#include "index/reference_graph.h"
#include "index/totals.h"
#include "rpc/random_mutations.h"
#include "rpc/server_fixture.h"
#include "store/types.h"
#include "tests/support/naive_usage.h"
#include "tests/support/seed.h"

namespace reclaim::rpc {
namespace {

// A sanitizer looks at the same code in each of them, many times as long.
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
constexpr uint64_t kCommitCount = 10'000;
#else
constexpr uint64_t kCommitCount = 100'000;
#endif
constexpr int kMutationsPerStream = 100;
// About a tenth of the requests change nothing, and are not committed.
constexpr uint64_t kStreamCountMax = 2 * kCommitCount / kMutationsPerStream;
constexpr uint64_t kStreamsPerVerify = 50;
constexpr uint64_t kStreamsPerRestart = 250;
constexpr uint64_t kStreamsPerDeed = 10;
constexpr char kStore[] = "engine";
constexpr char kActor[] = "test";

// Calls back before each commit: then the graph is as the last one left it.
class WatchedEngine final : public index::MemoryEngine {
 public:
  absl::Status Commit(const index::Batch& batch,
                      index::Durability durability) override {
    if (before_commit) before_commit();
    return index::MemoryEngine::Commit(batch, durability);
  }
  std::function<void()> before_commit;
};

v1::Bytes ToMessage(const store::Bytes& bytes) {
  v1::Bytes out;
  out.set_logical_bytes(bytes.logical_bytes);
  out.set_allocated_bytes(bytes.allocated_bytes);
  return out;
}

v1::Tally ToMessage(const index::Tally& tally) {
  v1::Tally out;
  out.set_count(tally.count);
  *out.mutable_bytes() = ToMessage(tally.bytes);
  return out;
}

v1::StoreUsage ToMessage(const tests::NaiveUsage& usage) {
  v1::StoreUsage out;
  for (const tests::NaiveRow& row : usage.rows) {
    v1::UsageRow* to = out.add_rows();
    to->set_type(row.type);
    to->set_total_count(row.total_count);
    to->set_active_count(row.active_count);
    *to->mutable_bytes() = ToMessage(row.bytes);
    *to->mutable_reclaimable() = ToMessage(row.reclaimable);
  }
  *out.mutable_live() = ToMessage(usage.live);
  *out.mutable_candidate() = ToMessage(usage.candidate);
  *out.mutable_quarantined() = ToMessage(usage.quarantined);
  *out.mutable_orphan() = ToMessage(index::Tally());
  *out.mutable_reclaimable_now() = ToMessage(usage.candidate.bytes);
  *out.mutable_content() = ToMessage(usage.content);
  *out.mutable_unpacked() = ToMessage(usage.unpacked);
  out.set_image_count(usage.image_count);
  out.set_dangling_image_count(usage.dangling_image_count);
  out.set_tag_count(usage.tag_count);
  out.set_repository_count(usage.repository_count);
  return out;
}

// Its figures as text: without what is said of the store and its disk, and
// without how many records told no size, which are told in one row for all.
std::string FiguresOf(v1::StoreUsage usage) {
  usage.clear_store();
  usage.clear_state();
  usage.clear_last_scan_time();
  usage.clear_capacity_bytes();
  usage.clear_available_bytes();
  for (v1::UsageRow& row : *usage.mutable_rows()) {
    row.clear_unknown_size_count();
  }
  return usage.DebugString();
}

class MutationSequenceTest : public ServerFixture {
 protected:
  MutationSequenceTest() {
    auto engine = std::make_unique<WatchedEngine>();
    watched_ = engine.get();
    engine_ = std::move(engine);
    options_.grace_period = absl::Minutes(30);
  }

  void SetUp() override {
    ServerFixture::SetUp();
    v1::RegisterStoreRequest add;
    add.set_name(kStore);
    add.set_uri("external:engine");
    add.set_knows_containers(true);
    v1::Store store;
    const grpc::Status status =
        Ask(store_stub_, &v1::StoreService::Stub::RegisterStore, add, &store);
    ASSERT_TRUE(status.ok()) << status.error_message();
    Watch();
  }
  void TearDown() override {
    watched_->before_commit = nullptr;
    ServerFixture::TearDown();
  }

  void Watch() {
    watched_->before_commit = [this] {
      ++commit_count_;
      ExpectExact();
    };
  }

  // I6, by the library: of what the commit before has left.
  void ExpectExact() {
    if (graph_ == nullptr) return;
    const auto reader = graph_->Read();
    index::RecountInputs inputs;
    inputs.store = 0;
    inputs.now = clock_.Now();
    inputs.grace_period = options_.grace_period;
    const index::StoreTotals recounted = index::Recount(reader->view(), inputs);
    ++check_count_;
    if (recounted == reader->totals(0)) return;
    ADD_FAILURE() << "counted: " << index::ToString(reader->totals(0))
                  << "\nrecounted: " << index::ToString(recounted);
  }

  // The answer, against figures that know neither counters nor rows.
  void ExpectDf() {
    const v1::GetDiskUsageResponse response = AskDf();
    ASSERT_EQ(response.stores_size(), 1);
    std::string expected;
    {
      const auto reader = graph_->Read();
      const tests::NaiveUsage usage = tests::CountUsageNaively(
          reader->view(), clock_.Now(), options_.grace_period);
      if (usage.quarantined.count > 0) ++quarantine_seen_count_;
      expected = FiguresOf(ToMessage(usage));
    }
    ++df_count_;
    EXPECT_EQ(FiguresOf(response.stores(0)), expected);
    EXPECT_EQ(FiguresOf(response.total()), expected) << "of the one store";
  }

  // Each commit but the last is checked by the next; that one is checked here.
  void Send(RandomMutations* mutations) {
    const uint64_t commits_before = commit_count_;
    const uint64_t checks_before = check_count_;
    grpc::ClientContext context;
    v1::RecordStreamResponse response;
    const auto writer = graph_stub_->RecordStream(&context, &response);
    for (int i = 0; i < kMutationsPerStream; ++i) {
      ASSERT_TRUE(writer->Write(mutations->Next()));
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.request_count(), kMutationsPerStream);
    ExpectExact();
    // Those that gave back what lay in quarantine are among them.
    const uint64_t commits = commit_count_ - commits_before;
    ASSERT_EQ(check_count_ - checks_before, commits + 1);
    step_count_ += commits;
    change_count_ += response.changed_count();
  }

  v1::GetDiskUsageResponse AskDf() {
    v1::GetDiskUsageResponse response;
    const grpc::Status status =
        Ask(usage_stub_, &v1::UsageService::Stub::GetDiskUsage, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  // What of an external store the graph alone is told of.
  absl::Status Prune(RandomMutations* choice) {
    gc::PruneRequest request;
    request.store = kStore;
    request.verb = gc::PruneVerb::kSystem;
    request.all_images = choice->Below(2) == 0;
    request.with_volumes = choice->Below(2) == 0;
    request.policy = gc::NoGrace();
    request.actor = kActor;
    RECLAIM_ASSIGN_OR_RETURN(const gc::Plan plan,
                             collector_->MakePlan(request, {}));
    gc::ApplyRequest apply;
    apply.plan_id = plan.id;
    apply.allow_large = true;
    apply.actor = kActor;
    RECLAIM_ASSIGN_OR_RETURN(const gc::Run run, collector_->Apply(apply, {}));
    last_run_ = run.id;
    pruned_count_ += run.item_count;
    return absl::OkStatus();
  }
  absl::Status Purge() {
    gc::PurgeRequest request;
    request.store = kStore;
    request.before_period_ends = true;
    request.actor = kActor;
    return collector_->Purge(request, {}).status();
  }
  // Of names that are taken by now it says that it can't give them back, and of
  // a run of which nothing is left: what it leaves is counted all the same.
  void Restore() {
    gc::RestoreRequest request;
    request.store = kStore;
    request.run_id = last_run_;
    request.actor = kActor;
    if (collector_->Restore(request, {}).ok()) ++restored_count_;
  }

  // Its own commits are not those of requests.
  void DoDeed(RandomMutations* choice) {
    watched_->before_commit = nullptr;
    switch (choice->Below(4)) {
      case 0:
        if (!last_run_.empty()) Restore();
        break;
      case 1:
        EXPECT_THAT(Purge(), base::IsOk());
        break;
      default:
        EXPECT_THAT(Prune(choice), base::IsOk());
    }
    ExpectExact();
    ExpectDf();
    Watch();
  }

  void Verify() {
    grpc::ClientContext context;
    const auto reader = store_stub_->VerifyStore(&context, {});
    v1::VerifyStoreResponse response;
    while (reader->Read(&response)) {
      for (const v1::Finding& finding : response.findings()) {
        if (finding.check() == "missing-snapshot") continue;
        ADD_FAILURE() << finding.DebugString();
      }
    }
    const grpc::Status status = reader->Finish();
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_TRUE(response.is_complete());
  }

  WatchedEngine* watched_ = nullptr;
  std::string last_run_;
  uint64_t commit_count_ = 0;
  uint64_t check_count_ = 0;
  uint64_t step_count_ = 0;  // commits of requests, each checked
  uint64_t change_count_ = 0;
  uint64_t df_count_ = 0;
  uint64_t quarantine_seen_count_ = 0;  // how often `df` had to tell of some
  uint64_t pruned_count_ = 0;           // items
  uint64_t restored_count_ = 0;         // runs
};

TEST_F(MutationSequenceTest, DfIsExactAfterEveryMutation) {
  const uint64_t seed = tests::AskSeed();
  RandomMutations mutations(seed);
  for (uint64_t i = 1; step_count_ < kCommitCount; ++i) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " stream ", i));
    ASSERT_LE(i, kStreamCountMax);
    mutations.SetNow(clock_.Now());
    Send(&mutations);
    if (HasFailure()) return;
    ExpectDf();
    clock_.Advance(absl::Seconds(mutations.Below(600)));
    ExpectExact();
    if (i % kStreamsPerDeed == 0) DoDeed(&mutations);
    if (HasFailure()) return;
    if (i % kStreamsPerVerify == 0) Verify();
    if (i % kStreamsPerRestart != 0) continue;
    const std::string before = AskDf().DebugString();
    watched_->before_commit = nullptr;  // a start has commits of its own
    RestartServer();
    Watch();
    ASSERT_EQ(AskDf().DebugString(), before);
  }
  std::cout << change_count_ << " changes in " << step_count_ << " commits, "
            << check_count_ << " checks, " << df_count_ << " answers of df ("
            << quarantine_seen_count_ << " with a quarantine), "
            << pruned_count_ << " items pruned, " << restored_count_
            << " runs restored\n";
  EXPECT_GE(change_count_, kCommitCount / 2);
  EXPECT_GT(pruned_count_, 0u);
  RecordProperty("figure_mutations_after_each_of_which_df_was_recounted",
                 absl::StrCat(step_count_));
  RecordProperty("figure_answers_of_df_counted_naively",
                 absl::StrCat(df_count_));
}

}  // namespace
}  // namespace reclaim::rpc

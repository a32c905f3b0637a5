// gc/deletion_guard_fixture.h — a small graph, and items of a plan over it; for
// tests.

#ifndef RECLAIM_GC_DELETION_GUARD_FIXTURE_H_
#define RECLAIM_GC_DELETION_GUARD_FIXTURE_H_

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gc/deletion_guard.h"
#include "gc/plan.h"
#include "gc/records.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {

// An image of a config and a layer, and a loose blob: all old, nothing named.
class DeletionGuardFixture : public ::testing::Test {
 protected:
  explicit DeletionGuardFixture(
      store::StoreKind kind = store::StoreKind::kMemory) {
    index::GraphOptions options;
    options.grace_period = absl::ZeroDuration();
    auto opened = index::ReferenceGraph::Open(&engine_, &clock_, options);
    EXPECT_THAT(opened, base::IsOk());
    graph_ = *std::move(opened);
    index::StoreRecord store;
    store.name = "s";
    store.kind = kind;
    EXPECT_THAT(graph_->RegisterStore(store), base::IsOk());
    EXPECT_THAT(Record({index::PutRepository{"s", "app", ""}, Blob("config"),
                        Blob("layer"), Blob("loose"), Manifest()}),
                base::IsOk());
    clock_.Advance(absl::Hours(100));
    const auto epoch = graph_->BeginEpoch();
    EXPECT_THAT(epoch, base::IsOk());
    terms_.store = 0;
    terms_.keeper.now = clock_.Now();
    terms_.keeper.grace_period = absl::Hours(24);
    terms_.keeper.upload_lifetime = absl::Hours(168);
    terms_.keeper.epoch = *epoch;
    terms_.keeper.planned = clock_.Now();
    terms_.names_seen = clock_.Now();
  }

  absl::Status Record(std::vector<index::Operation> operations) {
    index::Mutation mutation;
    mutation.operations = std::move(operations);
    return graph_->Apply(mutation, index::Durability::kDurable).status();
  }
  static oci::Digest D(const std::string& bytes) {
    return oci::Digest::Sha256Of(bytes);
  }
  static index::PutBlob Blob(const std::string& bytes) {
    index::PutBlob put;
    put.name = {"s", "", D(bytes)};
    put.bytes = {bytes.size(), 4096};
    return put;
  }
  static std::string Text() {
    return store::ImageText({D("config"), D("layer")});
  }
  static index::PutManifest Manifest() {
    index::PutManifest put;
    put.name = {"s", "", D(Text())};
    put.bytes = Text();
    return put;
  }
  static index::PutTag Tag(const std::string& repository,
                           const std::string& tag, const oci::Digest& digest) {
    index::PutTag put;
    put.store = "s";
    put.repository = repository;
    put.tag = tag;
    put.digest = digest;
    return put;
  }
  static index::PutMembership Link(const std::string& repository,
                                   const std::string& bytes, absl::Time time) {
    index::PutMembership put;
    put.store = "s";
    put.repository = repository;
    put.digest = D(bytes);
    put.kind = store::MembershipKind::kLayer;
    put.linked = time;
    return put;
  }
  static index::PutUpload Upload(const std::string& id) {
    index::PutUpload put;
    put.store = "s";
    put.repository = "app";
    put.id = id;
    put.bytes = {7, 4096};
    return put;
  }
  static index::PutLease Lease(const std::string& id, index::Target target) {
    index::PutLease lease;
    lease.store = "s";
    lease.id = id;
    lease.targets = {std::move(target)};
    return lease;
  }
  static index::Target Content(const oci::Digest& digest) {
    index::Target target;
    target.content = index::ContentName{"s", "", digest};
    return target;
  }
  static index::Target Named(index::NodeKind kind, const std::string& scope,
                             const std::string& name) {
    index::Target target;
    target.kind = kind;
    target.scope = scope;
    target.name = name;
    return target;
  }
  // A writer that no stamp protects any more.
  void NextEpoch() {
    const auto epoch = graph_->BeginEpoch();
    ASSERT_THAT(epoch, base::IsOk());
    terms_.keeper.epoch = *epoch;
  }

  PlanItem BlobItem(const oci::Digest& digest) {
    const auto reader = graph_->Read();
    PlanItem item;
    item.node = reader->view().FindContent(0, digest);
    item.kind = reader->view().kind(item.node);
    item.digest = digest;
    store::Removal removal;
    removal.digest = digest;
    item.removal = removal;
    return item;
  }
  PlanItem LinkItem(const std::string& repository, const std::string& bytes) {
    PlanItem item;
    item.digest = D(bytes);
    item.scope = repository;
    store::Removal removal;
    removal.kind = store::RemovalKind::kLayerLink;
    removal.repository = repository;
    removal.digest = item.digest;
    item.removal = removal;
    return item;
  }
  PlanItem TagItem(const std::string& tag, const oci::Digest& digest) {
    PlanItem item;
    item.node = graph_->Read()->view().FindNamed(
        {index::NodeKind::kTag, 0, "app", tag});
    item.kind = index::NodeKind::kTag;
    item.scope = "app";
    item.name = tag;
    item.digest = digest;
    item.reason = DoomReason::kUnused;
    store::Removal removal;
    removal.kind = store::RemovalKind::kTag;
    removal.repository = "app";
    removal.tag = tag;
    removal.digest = digest;
    item.removal = removal;
    return item;
  }
  // Of a node that has a name, without a removal.
  PlanItem NamedItem(index::NodeKind kind, const std::string& scope,
                     const std::string& name) {
    PlanItem item;
    item.node = graph_->Read()->view().FindNamed({kind, 0, scope, name});
    item.kind = kind;
    item.scope = scope;
    item.name = name;
    return item;
  }
  PlanItem UploadItem(const std::string& id) {
    PlanItem item = NamedItem(index::NodeKind::kUpload, "app", id);
    item.removal = store::Removal();
    item.removal->kind = store::RemovalKind::kUpload;
    item.removal->repository = "app";
    item.removal->upload_id = id;
    return item;
  }
  // What is in quarantine as this item.
  static QuarantineRecord Moved(const PlanItem& item) {
    QuarantineRecord record;
    record.run_id = "r";
    record.store = "s";
    record.item = item;
    record.state = QuarantineState::kQuarantined;
    return record;
  }
  void Quarantine(const oci::Digest& digest) {
    const index::NodeId node = NodeOf(digest);
    DeletionGuard guard(graph_.get());
    ASSERT_THAT(guard.Record({{node, index::NodeState::kQuarantined, "r", ""}},
                             {}, {}, "t"),
                base::IsOk());
  }
  std::vector<Verdict> Verdicts(const std::vector<PlanItem>& items) {
    DeletionGuard guard(graph_.get());
    return guard.Judge(items, terms_);
  }
  static std::vector<SkipReason> ReasonsOf(
      const std::vector<Verdict>& verdicts) {
    std::vector<SkipReason> reasons;
    for (const Verdict& verdict : verdicts) reasons.push_back(verdict.reason);
    return reasons;
  }
  std::vector<SkipReason> Judge(const std::vector<PlanItem>& items) {
    return ReasonsOf(Verdicts(items));
  }
  // Of one entry of the quarantine, with the terms of a purge.
  SkipReason JudgePurge(const QuarantineRecord& record) {
    GuardTerms terms = terms_;
    terms.keeper.epoch = std::numeric_limits<index::Epoch>::max();
    terms.keeper.planned = absl::InfiniteFuture();
    DeletionGuard guard(graph_.get());
    return guard.JudgePurge({&record, 1}, terms)[0].reason;
  }
  // Asked before a guard holds the order.
  index::NodeId NodeOf(const oci::Digest& digest) {
    return graph_->Read()->view().FindContent(0, digest);
  }
  SkipReason JudgeOne(const PlanItem& item) { return Judge({item})[0]; }

  base::SimulatedClock clock_;
  index::MemoryEngine engine_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  GuardTerms terms_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_DELETION_GUARD_FIXTURE_H_

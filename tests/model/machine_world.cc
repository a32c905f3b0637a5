#include "tests/model/machine_world.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "gc/prune_request.h"
#include "index/recount.h"
#include "store/memory_store.h"
#include "tests/model/machine_twin.h"

namespace reclaim::tests {
namespace {

constexpr char kStore[] = "s";
constexpr char kRepository[] = "app";
constexpr char kActor[] = "test";
constexpr absl::Duration kQuarantinePeriod = absl::Hours(24);

const MachineContent& ContentOf(int content) {
  return AllMachineContent()[content];
}

// `earlier` as in index::GraphOptions.
index::GraphOptions OptionsAfter(const std::string& earlier) {
  index::GraphOptions options;
  options.earlier_database = earlier;
  options.grace_period = absl::ZeroDuration();
  return options;
}

index::PutPin PinOf(int content) {
  index::PutPin pin;
  pin.store = kStore;
  pin.id = absl::StrCat("pin", content);
  pin.reason = kActor;
  pin.target.content =
      index::ContentName{kStore, "", ContentOf(content).digest};
  return pin;
}

}  // namespace

MachineWorld::MachineWorld() {
  content_->PutRepository(kRepository, "");
  engine_ = std::make_unique<index::MemoryEngine>();
  const absl::Status opened = Open();
  RECLAIM_CHECK(opened.ok(), "the memory store cannot be opened");
  const absl::Status scanned = Scan();
  RECLAIM_CHECK(scanned.ok(), "the memory store cannot be scanned");
}

absl::Status MachineWorld::Open() {
  collector_.reset();
  graph_.reset();
  RECLAIM_ASSIGN_OR_RETURN(
      graph_, index::ReferenceGraph::Open(engine_.get(), &clock_,
                                          OptionsAfter(earlier_database_)));
  store_ = store::OpenMemoryStore(content_, false);
  index::StoreRecord record;
  record.name = kStore;
  record.kind = store::StoreKind::kMemory;
  record.writers.write_duration_max = absl::ZeroDuration();
  record.writers.descriptor_cache = index::DescriptorCache::kNone;
  RECLAIM_ASSIGN_OR_RETURN(id_, graph_->RegisterStore(record));
  RECLAIM_ASSIGN_OR_RETURN(
      collector_,
      gc::Collector::Create(graph_.get(), &clock_, &random_, nullptr));
  RECLAIM_RETURN_IF_ERROR(collector_->AttachStore(kStore, store_.get()));
  return collector_->Recover();
}

absl::Status MachineWorld::Restart() { return Open(); }

absl::Status MachineWorld::LoseDatabase() {
  collector_.reset();
  graph_.reset();
  engine_ = std::make_unique<index::MemoryEngine>();
  earlier_database_ = "the machine had one";
  RECLAIM_RETURN_IF_ERROR(Open());
  RECLAIM_RETURN_IF_ERROR(Scan());
  // Nothing is deleted before somebody confirms, also not after a restart.
  RECLAIM_RETURN_IF_ERROR(Open());
  const absl::StatusOr<Pruned> pruned = Prune();
  const absl::StatusOr<gc::Run> purged = Purge(true);
  if (pruned.ok() || !pruned.status().GetPayload(gc::kUnconfirmedPayload) ||
      purged.ok() || !purged.status().GetPayload(gc::kUnconfirmedPayload)) {
    return absl::InternalError(absl::StrCat(
        "a prune and a purge before the loss was confirmed: ",
        pruned.status().ToString(), ", ", purged.status().ToString()));
  }
  return graph_->ConfirmLoss();
}

absl::Status MachineWorld::Scan() {
  clock_.Advance(absl::Seconds(1));
  return collector_->Scan(kStore, false, kActor, {}).status();
}

absl::Status MachineWorld::Push(int manifest, const std::string& tag) {
  clock_.Advance(absl::Seconds(1));
  const absl::Time now = clock_.Now();
  const MachineContent& content = ContentOf(manifest);
  for (const int child : content.children) {
    if (!ContentOf(child).is_manifest) {
      content_->PutBlob("", ContentOf(child).bytes, now);
    }
  }
  content_->PutBlob("", content.bytes, now);
  content_->PutLink(kRepository, content.digest,
                    store::MembershipKind::kRevision, now);
  if (!tag.empty()) content_->PutTag(kRepository, tag, content.digest, now);
  return Scan();
}

absl::Status MachineWorld::Untag(const std::string& tag) {
  store::Removal removal;
  removal.kind = store::RemovalKind::kTag;
  removal.repository = kRepository;
  removal.tag = tag;
  content_->Remove(removal);
  return Scan();
}

absl::Status MachineWorld::Record(index::Operation operation) {
  index::Mutation mutation;
  mutation.operations.push_back(std::move(operation));
  mutation.actor = kActor;
  return graph_->Apply(mutation, index::Durability::kDurable).status();
}

absl::Status MachineWorld::Pin(int content) { return Record(PinOf(content)); }

absl::Status MachineWorld::Unpin(int content) {
  return Record(
      index::RemoveNamed{kStore, index::NodeKind::kPin, "", PinOf(content).id});
}

absl::Status MachineWorld::Lease(int content, int64_t hours) {
  index::PutLease lease;
  lease.store = kStore;
  lease.id = absl::StrCat("lease", content);
  lease.owner = kActor;
  // Between two hours of the twin, for scans take seconds here.
  lease.expires = clock_.Now() + absl::Hours(hours) + absl::Minutes(30);
  lease.targets.push_back(PinOf(content).target);
  return Record(std::move(lease));
}

absl::StatusOr<MachineWorld::Pruned> MachineWorld::Prune() {
  gc::PruneRequest request;
  request.store = kStore;
  request.verb = gc::PruneVerb::kSystem;
  request.policy = gc::NoGrace();
  request.policy.quarantine_period = kQuarantinePeriod;
  request.policy.large_plan_percent = 100;
  request.actor = kActor;
  Pruned pruned;
  RECLAIM_ASSIGN_OR_RETURN(pruned.plan, collector_->MakePlan(request, {}));
  gc::ApplyRequest apply;
  apply.plan_id = pruned.plan.id;
  apply.actor = kActor;
  RECLAIM_ASSIGN_OR_RETURN(pruned.run, collector_->Apply(apply, {}));
  prunes_.push_back(pruned.run.id);
  return pruned;
}

absl::StatusOr<gc::Run> MachineWorld::Restore(size_t prune) {
  gc::RestoreRequest request;
  request.store = kStore;
  request.run_id = prunes_[prune];
  request.actor = kActor;
  auto run = collector_->Restore(request, {});
  // What no node stood for is seen by a scan.
  RECLAIM_RETURN_IF_ERROR(Scan());
  return run;
}

absl::StatusOr<gc::Run> MachineWorld::Purge(bool before_period_ends) {
  RECLAIM_RETURN_IF_ERROR(Scan());
  gc::PurgeRequest request;
  request.store = kStore;
  request.before_period_ends = before_period_ends;
  request.actor = kActor;
  return collector_->Purge(request, {});
}

index::NodeId MachineWorld::Find(int content,
                                 const index::GraphReader& reader) const {
  return reader.view().FindContent(reader.view().FindPlace(id_, ""),
                                   ContentOf(content).digest);
}

index::NodeState MachineWorld::StateOf(int content) const {
  const auto reader = graph_->Read();
  const index::NodeId id = Find(content, *reader);
  return id == index::kNoNode ? index::NodeState::kAbsent
                              : reader->view().state(id);
}

bool MachineWorld::IsLive(int content) const {
  const auto reader = graph_->Read();
  const index::NodeId id = Find(content, *reader);
  return id != index::kNoNode && reader->IsLive(id);
}

index::StoreTotals MachineWorld::Totals() const {
  return graph_->Read()->totals(id_);
}

index::StoreTotals MachineWorld::Recounted() const {
  const auto reader = graph_->Read();
  index::RecountInputs inputs;
  inputs.store = id_;
  inputs.now = clock_.Now();
  inputs.grace_period = absl::ZeroDuration();
  inputs.orphans = reader->totals(id_).orphan;
  inputs.adopted = reader->totals(id_).adopted;
  inputs.adopted_held = reader->totals(id_).adopted_held;
  return index::Recount(reader->view(), inputs);
}

}  // namespace reclaim::tests

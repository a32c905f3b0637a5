#include "gc/cache_proof.h"

#include <algorithm>
#include <optional>

#include "base/status_macros.h"
#include "store/name_reader.h"

namespace reclaim::gc {
namespace {

// One could vanish by a deletion over the registry's own API.
constexpr size_t kCanaryMax = 3;

absl::Status Record(CollectedStore* site, const CacheEvidence& evidence) {
  RECLAIM_ASSIGN_OR_RETURN(const index::RecordWrite write,
                           RunStore::EvidenceWrite(site->id, evidence));
  const auto order = site->graph->HoldWriteOrder();
  return order->Commit({}, {}, {write}, "collector");
}

std::unique_ptr<RegistryConversation> Open(const CollectedStore& site,
                                           const index::StoreRecord& store) {
  if (site.witness == nullptr || store.writers.registry_url.empty()) {
    return nullptr;
  }
  auto opened = site.witness->Open(store.writers.registry_url);
  // Whom one can't ask proves nothing: everything stays in quarantine.
  return opened.ok() ? *std::move(opened) : nullptr;
}

// Those that the registry still remembers; an error if it did not answer for
// each.
absl::StatusOr<std::vector<Canary>> AskFor(const std::vector<Canary>& canaries,
                                           RegistryConversation* registry) {
  std::vector<Canary> remembered;
  for (const Canary& canary : canaries) {
    RECLAIM_ASSIGN_OR_RETURN(
        const bool has, registry->HasBlob(canary.repository, canary.digest));
    if (has) remembered.push_back(canary);
  }
  return remembered;
}

}  // namespace

bool MayBeRemembered(const index::StoreRecord& store) {
  return store.kind == store::StoreKind::kRegistry &&
         store.writers.descriptor_cache != index::DescriptorCache::kNone;
}

// A canary that is remembered was so at the time of the answer; once none is,
// the cache was lost after the last time that one was: if it is one that
// forgets all or nothing.
absl::StatusOr<Forgetting> AskWhatIsForgotten(CollectedStore* site,
                                              const index::StoreRecord& store) {
  if (!MayBeRemembered(store)) {
    return Forgetting{absl::InfiniteFuture(), std::nullopt};
  }
  RECLAIM_ASSIGN_OR_RETURN(CacheEvidence evidence,
                           site->runs->GetEvidence(site->id));
  Forgetting forgetting{evidence.forgotten_until, std::nullopt};
  if (evidence.canaries.empty()) return forgetting;
  const std::unique_ptr<RegistryConversation> registry = Open(*site, store);
  if (registry == nullptr) return forgetting;
  const absl::Time now = site->clock->Now();
  absl::StatusOr<std::vector<Canary>> remembered =
      AskFor(evidence.canaries, registry.get());
  if (!remembered.ok()) return forgetting;
  const bool forgets_all_or_nothing =
      store.writers.descriptor_cache == index::DescriptorCache::kMemory;
  if (remembered->empty() && forgets_all_or_nothing &&
      evidence.remembered > evidence.forgotten_until) {
    // Until it is recorded, whoever asks next hears the same.
    forgetting.lost = evidence.remembered;
    return forgetting;
  }
  evidence.remembered = remembered->empty() ? absl::InfinitePast() : now;
  evidence.canaries = *std::move(remembered);
  RECLAIM_RETURN_IF_ERROR(Record(site, evidence));
  return forgetting;
}

absl::Status RecordLost(CollectedStore* site, absl::Time until) {
  RECLAIM_ASSIGN_OR_RETURN(CacheEvidence evidence,
                           site->runs->GetEvidence(site->id));
  evidence.forgotten_until = std::max(evidence.forgotten_until, until);
  evidence.canaries.clear();
  evidence.remembered = absl::InfinitePast();
  return Record(site, evidence);
}

CanaryWatch::CanaryWatch(CollectedStore* site, const index::StoreRecord& store)
    : site_(site) {
  if (MayBeRemembered(store)) registry_ = Open(*site, store);
}

void CanaryWatch::Prime(absl::Span<const PlanItem> items) {
  primed_.clear();
  for (const PlanItem& item : items) {
    if (registry_ == nullptr) return;
    if (canaries_.size() + primed_.size() >= kCanaryMax) return;
    if (!item.removal || item.removal->kind != store::RemovalKind::kLayerLink) {
      continue;
    }
    const Canary canary{item.removal->repository, *item.removal->digest};
    // Of one that was never written (store::MembershipFact) a registry says
    // nothing, and what fails once is not asked again.
    const store::NameReader* names = site_->store->names();
    if (names != nullptr && !names
                                 ->HoldsLink(canary.repository, canary.digest,
                                             store::MembershipKind::kLayer)
                                 .value_or(false)) {
      continue;
    }
    const absl::StatusOr<bool> has =
        registry_->HasBlob(canary.repository, canary.digest);
    if (!has.ok()) registry_ = nullptr;
    // One that it does not have says nothing about what it remembers.
    if (has.ok() && *has) primed_.push_back(canary);
  }
}

void CanaryWatch::Moved(absl::Span<const QuarantineRecord> records) {
  for (const Canary& canary : primed_) {
    const bool has_moved = std::any_of(
        records.begin(), records.end(), [&](const QuarantineRecord& record) {
          return record.state == QuarantineState::kQuarantined &&
                 record.item.removal &&
                 record.item.removal->kind == store::RemovalKind::kLayerLink &&
                 record.item.removal->repository == canary.repository &&
                 record.item.removal->digest == canary.digest;
        });
    if (has_moved) canaries_.push_back(canary);
  }
  primed_.clear();
}

absl::Status CanaryWatch::Conclude() {
  if (registry_ == nullptr || canaries_.empty()) return absl::OkStatus();
  const absl::Time now = site_->clock->Now();
  absl::StatusOr<std::vector<Canary>> remembered =
      AskFor(canaries_, registry_.get());
  // Who did not answer proves nothing: everything stays in quarantine.
  if (!remembered.ok()) return absl::OkStatus();
  CacheEvidence evidence;
  RECLAIM_ASSIGN_OR_RETURN(evidence, site_->runs->GetEvidence(site_->id));
  if (remembered->empty()) {
    // The same process was asked for them while it still had them: it
    // remembers nothing at all.
    evidence.forgotten_until = std::max(evidence.forgotten_until, now);
    evidence.canaries.clear();
    evidence.remembered = absl::InfinitePast();
  } else {
    evidence.canaries = *std::move(remembered);
    evidence.remembered = now;
  }
  return Record(site_, evidence);
}

}  // namespace reclaim::gc

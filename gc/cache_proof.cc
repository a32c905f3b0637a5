#include "gc/cache_proof.h"

#include <algorithm>
#include <iterator>
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

// What a registry had accepted by then the last scan has met, if the writer
// took no longer than he may.
absl::Time FollowedUntil(const index::StoreRecord& store) {
  return store.last_scan_begin - store.writers.write_duration_max;
}

// Of the moments before, two are kept: the last that a scan has followed, for
// what is proven by it stays proven, and the first that none has.  Kept until
// one has, that one moves the other on, however often sweeps come.
void Advance(absl::Time until, absl::Time followed_until,
             CacheEvidence* evidence) {
  if (until <= evidence->forgotten_until) return;
  std::vector<absl::Time> moments = std::move(evidence->earlier);
  if (evidence->forgotten_until != absl::InfinitePast()) {
    moments.push_back(evidence->forgotten_until);
  }
  const auto open =
      std::upper_bound(moments.begin(), moments.end(), followed_until);
  evidence->earlier.clear();
  if (open != moments.begin()) evidence->earlier.push_back(*std::prev(open));
  if (open != moments.end()) evidence->earlier.push_back(*open);
  evidence->forgotten_until = until;
}

bool ForgetsAllOrNothing(const index::StoreRecord& store) {
  return store.writers.descriptor_cache == index::DescriptorCache::kMemory;
}

}  // namespace

absl::Time Forgetting::ForgottenAt(absl::Time moved) const {
  if (until == absl::InfiniteFuture()) return moved;
  for (const absl::Time moment : earlier) {
    if (moved <= moment) return moment;
  }
  return std::max(moved, until);
}

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
    return Forgetting{absl::InfiniteFuture()};
  }
  RECLAIM_ASSIGN_OR_RETURN(CacheEvidence evidence,
                           site->runs->GetEvidence(site->id));
  Forgetting forgetting{evidence.forgotten_until, std::nullopt,
                        evidence.earlier};
  if (evidence.canaries.empty()) return forgetting;
  const std::unique_ptr<RegistryConversation> registry = Open(*site, store);
  if (registry == nullptr) return forgetting;
  const absl::Time now = site->clock->Now();
  absl::StatusOr<std::vector<Canary>> remembered =
      AskFor(evidence.canaries, registry.get());
  if (!remembered.ok()) return forgetting;
  if (remembered->empty() && ForgetsAllOrNothing(store) &&
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

absl::Status RecordLost(CollectedStore* site, const index::StoreRecord& store,
                        absl::Time until) {
  RECLAIM_ASSIGN_OR_RETURN(CacheEvidence evidence,
                           site->runs->GetEvidence(site->id));
  Advance(until, FollowedUntil(store), &evidence);
  evidence.canaries.clear();
  evidence.remembered = absl::InfinitePast();
  return Record(site, evidence);
}

absl::Status DropAheadOfClock(CollectedStore* site) {
  RECLAIM_ASSIGN_OR_RETURN(CacheEvidence evidence,
                           site->runs->GetEvidence(site->id));
  const absl::Time now = site->clock->Now();
  if (evidence.forgotten_until <= now && evidence.remembered <= now) {
    return absl::OkStatus();
  }
  if (evidence.remembered > now) {
    evidence.canaries.clear();
    evidence.remembered = absl::InfinitePast();
  }
  std::vector<absl::Time>& earlier = evidence.earlier;
  while (evidence.forgotten_until > now) {
    evidence.forgotten_until =
        earlier.empty() ? absl::InfinitePast() : earlier.back();
    if (!earlier.empty()) earlier.pop_back();
  }
  return Record(site, evidence);
}

CanaryWatch::CanaryWatch(CollectedStore* site, const index::StoreRecord& store)
    : site_(site), followed_until_(FollowedUntil(store)) {
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
    Advance(now, followed_until_, &evidence);
    evidence.canaries.clear();
    evidence.remembered = absl::InfinitePast();
  } else {
    evidence.canaries = *std::move(remembered);
    evidence.remembered = now;
  }
  return Record(site_, evidence);
}

}  // namespace reclaim::gc

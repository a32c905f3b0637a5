#include "store/testing/fake_engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace reclaim::store {
namespace {

constexpr char kOci[] = "application/vnd.oci.image.";

std::string Descriptor(const char* type, const oci::Digest& digest,
                       uint64_t size) {
  return absl::StrCat("{\"mediaType\":\"", kOci, type, "\",\"digest\":\"",
                      digest.ToString(), "\",\"size\":", size, "}");
}

Removal Blob(const Place& place, const oci::Digest& digest) {
  Removal removal;
  removal.kind = RemovalKind::kBlob;
  removal.place = place;
  removal.digest = digest;
  return removal;
}

Removal Record(RemovalKind kind, const Place& place, const std::string& name) {
  Removal removal;
  removal.kind = kind;
  removal.place = place;
  removal.name = name;
  return removal;
}

Removal Tag(const TagFact& fact) {
  Removal removal;
  removal.kind = RemovalKind::kTag;
  removal.repository = fact.repository;
  removal.tag = fact.tag;
  removal.digest = fact.digest;
  return removal;
}

template <typename Facts, typename ToRemoval>
void Drop(Facts* facts, const std::map<Removal, RunId>& held,
          const ToRemoval& to_removal) {
  facts->erase(std::remove_if(facts->begin(), facts->end(),
                              [&](const auto& fact) {
                                return held.count(to_removal(fact)) > 0;
                              }),
               facts->end());
}

// Takes all facts away whose removals are in `gone`.
void DropAll(ScanBatch* batch, const std::map<Removal, RunId>& gone) {
  Drop(&batch->blobs, gone,
       [](const BlobFact& f) { return Blob(f.place, f.digest); });
  Drop(&batch->tags, gone, Tag);
  Drop(&batch->containers, gone, [](const ContainerFact& f) {
    return Record(RemovalKind::kContainer, f.place, f.id);
  });
  Drop(&batch->snapshots, gone, [](const SnapshotFact& f) {
    return Record(RemovalKind::kSnapshot, f.place, f.key);
  });
  Drop(&batch->volumes, gone, [](const VolumeFact& f) {
    return Record(RemovalKind::kVolume, "", f.name);
  });
  Drop(&batch->networks, gone, [](const NetworkFact& f) {
    return Record(RemovalKind::kNetwork, "", f.name);
  });
  Drop(&batch->build_cache, gone, [](const BuildCacheFact& f) {
    return Record(RemovalKind::kBuildCache, "", f.id);
  });
}

}  // namespace

oci::Digest FakeEngine::AddImage(const std::string& repository,
                                 const std::string& tag,
                                 const std::vector<std::string>& layers,
                                 uint64_t layer_bytes) {
  const auto add = [&](const oci::Digest& digest, uint64_t size,
                       bool is_manifest) {
    for (const BlobFact& known : has.blobs) {
      if (known.digest == digest) return;
    }
    BlobFact fact;
    fact.digest = digest;
    fact.stat.bytes = {size, size};
    fact.stat.modified = absl::UnixEpoch();
    fact.is_manifest = is_manifest;
    has.blobs.push_back(std::move(fact));
  };
  std::string list;
  for (const std::string& layer : layers) {
    const oci::Digest digest = oci::Digest::Sha256Of(layer);
    add(digest, layer_bytes, false);
    absl::StrAppend(&list, list.empty() ? "" : ",",
                    Descriptor("layer.v1.tar", digest, layer_bytes));
  }
  const std::string config =
      absl::StrCat("{\"os\":\"linux\",\"of\":\"", repository, tag, "\"}");
  const oci::Digest config_digest = oci::Digest::Sha256Of(config);
  add(config_digest, 0, false);
  texts[config_digest] = config;
  const std::string manifest =
      absl::StrCat("{\"schemaVersion\":2,\"mediaType\":\"", kOci,
                   "manifest.v1+json\",\"config\":",
                   Descriptor("config.v1+json", config_digest, 0),
                   ",\"layers\":[", list, "]}");
  const oci::Digest digest = oci::Digest::Sha256Of(manifest);
  add(digest, 0, true);
  texts[digest] = manifest;
  if (repository.empty()) return digest;
  TagFact fact;
  fact.repository = repository;
  fact.tag = tag;
  fact.digest = digest;
  fact.modified = absl::UnixEpoch();
  has.tags.push_back(std::move(fact));
  has.repositories.push_back({repository, ""});
  return digest;
}

absl::Status FakeEngine::Away() const {
  return is_away ? absl::UnavailableError("the engine is away")
                 : absl::OkStatus();
}

StoreTraits FakeEngine::traits() const {
  StoreTraits traits;
  traits.kind = deletes_for_good_ ? StoreKind::kDocker : StoreKind::kContainerd;
  traits.has_quarantine = !deletes_for_good_;
  traits.deletes_for_good = deletes_for_good_;
  traits.has_foreign_writers = true;
  traits.knows_containers = true;
  return traits;
}

absl::StatusOr<BlobStat> FakeEngine::Stat(const Place& place,
                                          const oci::Digest& digest) const {
  if (const absl::Status away = Away(); !away.ok()) return away;
  if (!IsHeld(Blob(place, digest))) {
    for (const BlobFact& fact : has.blobs) {
      if (fact.place == place && fact.digest == digest) return fact.stat;
    }
  }
  return absl::NotFoundError("no such content");
}

absl::StatusOr<std::string> FakeEngine::Read(const Place&,
                                             const oci::Digest& digest,
                                             uint64_t) const {
  const auto text = texts.find(digest);
  if (text == texts.end()) return absl::NotFoundError("no such content");
  return text->second;
}

absl::Status FakeEngine::VerifyDigest(const Place&, const oci::Digest&) const {
  return absl::OkStatus();
}

absl::StatusOr<Capacity> FakeEngine::GetCapacity() const {
  if (const absl::Status away = Away(); !away.ok()) return away;
  return Capacity();
}

absl::StatusOr<ScanResult> FakeEngine::Scan(const ScanRequest&,
                                            ScanSink* sink) const {
  if (const absl::Status away = Away(); !away.ok()) return away;
  ScanBatch batch = has;
  DropAll(&batch, held_);
  for (const SectionKind kind :
       {SectionKind::kRepositories, SectionKind::kBlobs,
        SectionKind::kContainers, SectionKind::kSnapshots,
        SectionKind::kVolumes, SectionKind::kNetworks, SectionKind::kBuildCache,
        SectionKind::kHolds}) {
    SectionReport section;
    section.kind = kind;
    batch.sections.push_back(std::move(section));
  }
  for (const RepositoryFact& repository : has.repositories) {
    SectionReport section;
    section.kind = SectionKind::kTags;
    section.scope = repository.repository;
    batch.sections.push_back(std::move(section));
  }
  const absl::Status accepted = sink->Accept(std::move(batch));
  if (!accepted.ok()) return accepted;
  return ScanResult();
}

absl::StatusOr<Measurement> FakeEngine::Measure(
    absl::Span<const Removal>) const {
  return RemovalBytes();
}

absl::StatusOr<std::vector<RemovalOutcome>> FakeEngine::Quarantine(
    const DeletionPermit&, const RunId& run_id,
    absl::Span<const Removal> removals) {
  if (const absl::Status away = Away(); !away.ok()) return away;
  std::vector<RemovalOutcome> outcomes(removals.size());
  for (size_t i = 0; i < removals.size(); ++i) {
    if (kept.count(removals[i].name) > 0) {
      outcomes[i].status = absl::AbortedError("it is in use");
      continue;
    }
    quarantined.push_back(removals[i]);
    held_[removals[i]] = run_id;
  }
  return outcomes;
}

absl::StatusOr<std::vector<RemovalOutcome>> FakeEngine::Restore(
    const RunId&, absl::Span<const Removal> removals) {
  if (const absl::Status away = Away(); !away.ok()) return away;
  for (const Removal& removal : removals) {
    restored.push_back(removal);
    held_.erase(removal);
  }
  return std::vector<RemovalOutcome>(removals.size());
}

absl::StatusOr<std::vector<RemovalOutcome>> FakeEngine::Purge(
    const DeletionPermit&, const RunId& run_id,
    absl::Span<const Removal> removals) {
  if (const absl::Status away = Away(); !away.ok()) return away;
  std::vector<RemovalOutcome> outcomes(removals.size());
  std::map<Removal, RunId> gone;
  for (size_t i = 0; i < removals.size(); ++i) {
    const Removal& removal = removals[i];
    const std::string name =
        removal.digest ? removal.digest->ToString() : removal.name;
    held_.erase(removal);
    if (refused.count(name) > 0) {
      outcomes[i].status = absl::AbortedError("it is in use");
      continue;
    }
    if (failing.count(name) > 0) {
      outcomes[i].status = absl::UnavailableError("the engine gave no answer");
      continue;
    }
    purged.push_back(removal);
    gone[removal] = run_id;
  }
  DropAll(&has, gone);
  return outcomes;
}

absl::StatusOr<std::vector<QuarantinedItem>> FakeEngine::ListQuarantine()
    const {
  std::vector<QuarantinedItem> items;
  if (deletes_for_good_) return items;
  for (const auto& [removal, run_id] : held_) {
    items.push_back({run_id, removal, {}});
  }
  return items;
}

}  // namespace reclaim::store

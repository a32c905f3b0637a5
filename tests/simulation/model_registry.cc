#include "tests/simulation/model_registry.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::simulation {
namespace {

using store::MembershipKind;
using store::Removal;
using store::RemovalKind;
using store::RemovalOutcome;
using store::SectionKind;

std::optional<MembershipKind> LinkKindOf(const Removal& removal) {
  if (removal.kind == RemovalKind::kRevisionLink) {
    return MembershipKind::kRevision;
  }
  if (removal.kind == RemovalKind::kLayerLink) return MembershipKind::kLayer;
  return std::nullopt;
}

Access OfBlob(const oci::Digest& digest) {
  return {Access::Part::kBlobs, false, digest.hex()};
}

Access OfSection(SectionKind kind) {
  switch (kind) {
    case SectionKind::kLayerLinks:
      return {Access::Part::kLayerLinks, false, ""};
    case SectionKind::kRevisions:
      return {Access::Part::kRevisionLinks, false, ""};
    case SectionKind::kTags:
      return {Access::Part::kTags, false, ""};
    default:
      return {Access::Part::kBlobs, false, ""};
  }
}

Access OfMove(const Removal& removal) {
  switch (removal.kind) {
    case RemovalKind::kLayerLink:
      return {Access::Part::kLayerLinks, true, removal.digest->hex()};
    case RemovalKind::kRevisionLink:
      return {Access::Part::kRevisionLinks, true, removal.digest->hex()};
    case RemovalKind::kTag:
      return {Access::Part::kTags, true, removal.tag};
    default:
      return {Access::Part::kBlobs, true, removal.digest->hex()};
  }
}

template <typename Map>
absl::Status Transfer(const typename Map::key_type& key, Map* from, Map* to) {
  const auto it = from->find(key);
  if (it == from->end()) return absl::NotFoundError("it is not there");
  if (!to->emplace(key, it->second).second) {
    return absl::AlreadyExistsError("somebody else has put one there");
  }
  from->erase(it);
  return absl::OkStatus();
}

store::Bytes SizeOf(const Disk::File& file) {
  return {file.bytes.size(), 4096};
}

std::string Line(absl::string_view what, absl::Time modified) {
  return absl::StrCat(what, " ", absl::ToUnixMicros(modified), "\n");
}

void AppendText(const std::map<oci::Digest, Disk::File>& blobs,
                const std::map<Disk::LinkName, absl::Time>& links,
                const std::map<Disk::TagName, Disk::Tag>& tags,
                std::string* text) {
  for (const auto& [digest, file] : blobs) {
    absl::StrAppend(text, Line(digest.hex(), file.modified));
  }
  for (const auto& [name, modified] : links) {
    absl::StrAppend(text,
                    Line(absl::StrCat("link ", std::get<0>(name), " ",
                                      std::get<1>(name).hex(),
                                      static_cast<int>(std::get<2>(name))),
                         modified));
  }
  for (const auto& [name, tag] : tags) {
    absl::StrAppend(text, Line(absl::StrCat("tag ", name.first, ":",
                                            name.second, " ", tag.digest.hex()),
                               tag.modified));
  }
}

// Of content alone, as everywhere in this store.
store::RemovalBytes BytesOf(const Disk::Moved& moved) {
  store::RemovalBytes bytes;
  for (const auto& [digest, file] : moved.blobs) {
    bytes.content += SizeOf(file);
  }
  return bytes;
}

}  // namespace

bool Conflict(const Access& a, const Access& b) {
  return a.part == b.part && (a.is_write || b.is_write) &&
         (a.name.empty() || b.name.empty() || a.name == b.name);
}

std::string Disk::ToText() const {
  std::string text;
  for (const std::string& name : repositories) {
    absl::StrAppend(&text, "repository ", name, "\n");
  }
  AppendText(blobs, links, tags, &text);
  for (const auto& [key, moved] : quarantine) {
    absl::StrAppend(&text, "moved ", key.first, "\n");
    AppendText(moved.blobs, moved.links, moved.tags, &text);
  }
  return text;
}

absl::StatusOr<store::BlobStat> ModelRegistry::Stat(
    const store::Place&, const oci::Digest& digest) const {
  const auto it = disk_.blobs.find(digest);
  if (it == disk_.blobs.end()) {
    observe_(OfBlob(digest), "no blob");
    return absl::NotFoundError("no such blob");
  }
  observe_(OfBlob(digest), Line("blob", it->second.modified));
  store::BlobStat stat;
  stat.bytes = SizeOf(it->second);
  stat.modified = it->second.modified;
  return stat;
}

absl::StatusOr<std::string> ModelRegistry::Read(const store::Place&,
                                                const oci::Digest& digest,
                                                uint64_t) const {
  const auto it = disk_.blobs.find(digest);
  observe_(OfBlob(digest), it == disk_.blobs.end() ? "no blob" : "read");
  if (it == disk_.blobs.end()) return absl::NotFoundError("no such blob");
  return it->second.bytes;
}

absl::Status ModelRegistry::VerifyDigest(const store::Place& place,
                                         const oci::Digest& digest) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string bytes, Read(place, digest, 0));
  if (oci::Digest::Sha256Of(bytes) == digest) return absl::OkStatus();
  return absl::DataLossError("other bytes");
}

absl::Status ModelRegistry::VerifyQuarantined(
    const store::RunId& run_id, const store::Removal& blob) const {
  const auto it = disk_.quarantine.find({run_id, blob});
  const bool is_there =
      it != disk_.quarantine.end() && it->second.blobs.count(*blob.digest) > 0;
  observe_(std::nullopt, is_there ? "read" : "no blob");
  if (!is_there) return absl::NotFoundError("it is not in quarantine");
  if (oci::Digest::Sha256Of(it->second.blobs.at(*blob.digest).bytes) ==
      *blob.digest) {
    return absl::OkStatus();
  }
  return absl::DataLossError("other bytes");
}

store::StoreTraits ModelRegistry::traits() const {
  store::StoreTraits traits;
  traits.kind = store::StoreKind::kRegistry;
  traits.has_quarantine = true;
  traits.has_foreign_writers = has_foreign_writers_;
  return traits;
}

std::vector<std::string> ModelRegistry::ScopesOf(SectionKind kind) const {
  if (kind == SectionKind::kRepositories || kind == SectionKind::kBlobs) {
    return {""};
  }
  return std::vector<std::string>(disk_.repositories.begin(),
                                  disk_.repositories.end());
}

void ModelRegistry::ReportSection(SectionKind kind, const std::string& scope,
                                  store::ScanBatch* batch) const {
  store::SectionReport report;
  report.kind = kind;
  report.scope = scope;
  for (const std::string& name : disk_.repositories) {
    if (kind != SectionKind::kRepositories) break;
    batch->repositories.push_back({name, ""});
  }
  std::string seen;
  for (const auto& [digest, file] : disk_.blobs) {
    if (kind != SectionKind::kBlobs) break;
    absl::StrAppend(&seen, Line(digest.hex(), file.modified));
    batch->blobs.push_back({"", digest, *Stat("", digest)});
  }
  for (const auto& [name, modified] : disk_.links) {
    const auto& [repository, digest, is] = name;
    const SectionKind section = is == MembershipKind::kRevision
                                    ? SectionKind::kRevisions
                                    : SectionKind::kLayerLinks;
    if (section != kind || repository != scope) continue;
    absl::StrAppend(&seen, Line(digest.hex(), modified));
    store::MembershipFact fact;
    fact.repository = repository;
    fact.digest = digest;
    fact.kind = is;
    fact.modified = modified;
    batch->memberships.push_back(std::move(fact));
  }
  for (const auto& [name, tag] : disk_.tags) {
    if (kind != SectionKind::kTags || name.first != scope) continue;
    absl::StrAppend(
        &seen, Line(absl::StrCat(name.second, tag.digest.hex()), tag.modified));
    batch->tags.push_back(
        {name.first, name.second, tag.digest, "", tag.modified});
  }
  batch->sections.push_back(std::move(report));
  if (kind != SectionKind::kRepositories) observe_(OfSection(kind), seen);
}

RemovalOutcome ModelRegistry::Tell(std::optional<Access> access,
                                   absl::Status status) const {
  observe_(std::move(access),
           absl::StrCat("outcome ", static_cast<int>(status.code())));
  return {std::move(status), {}};
}

// In the order of store/registry_scan.
absl::StatusOr<store::ScanResult> ModelRegistry::Scan(
    const store::ScanRequest&, store::ScanSink* sink) const {
  for (const SectionKind kind : {SectionKind::kRepositories,
                                 SectionKind::kBlobs, SectionKind::kLayerLinks,
                                 SectionKind::kRevisions, SectionKind::kTags}) {
    for (const std::string& scope : ScopesOf(kind)) {
      RECLAIM_RETURN_IF_ERROR(pause_(absl::StrCat(
          kScanStep, static_cast<int>(kind), scope.empty() ? "" : " ", scope)));
      store::ScanBatch batch;
      ReportSection(kind, scope, &batch);
      RECLAIM_RETURN_IF_ERROR(sink->Accept(std::move(batch)));
    }
  }
  return store::ScanResult();
}

absl::StatusOr<store::Measurement> ModelRegistry::Measure(
    absl::Span<const Removal> removals) const {
  store::RemovalBytes bytes;
  for (const Removal& removal : removals) {
    if (removal.kind != RemovalKind::kBlob) continue;
    const auto stat = Stat("", *removal.digest);
    if (stat.ok()) bytes.content += stat->bytes;
  }
  return bytes;
}

absl::Status ModelRegistry::MoveAway(const store::RunId& run_id,
                                     const Removal& removal) {
  Disk::Moved moved;
  if (removal.kind == RemovalKind::kBlob) {
    RECLAIM_RETURN_IF_ERROR(
        Transfer(*removal.digest, &disk_.blobs, &moved.blobs));
  } else if (const auto kind = LinkKindOf(removal)) {
    const Disk::LinkName name{removal.repository, *removal.digest, *kind};
    RECLAIM_RETURN_IF_ERROR(Transfer(name, &disk_.links, &moved.links));
  } else {
    const Disk::TagName name{removal.repository, removal.tag};
    const auto it = disk_.tags.find(name);
    if (it != disk_.tags.end() && it->second.digest != *removal.digest) {
      return absl::AbortedError("the tag names something else by now");
    }
    RECLAIM_RETURN_IF_ERROR(Transfer(name, &disk_.tags, &moved.tags));
  }
  disk_.quarantine[{run_id, removal}] = std::move(moved);
  return absl::OkStatus();
}

absl::Status ModelRegistry::MoveBack(const store::RunId& run_id,
                                     const Removal& removal) {
  const auto it = disk_.quarantine.find({run_id, removal});
  if (it == disk_.quarantine.end()) {
    return absl::NotFoundError("it is not in quarantine");
  }
  Disk::Moved& moved = it->second;
  absl::Status status;
  if (!moved.blobs.empty()) {
    status = Transfer(moved.blobs.begin()->first, &moved.blobs, &disk_.blobs);
  } else if (!moved.links.empty()) {
    status = Transfer(moved.links.begin()->first, &moved.links, &disk_.links);
  } else {
    status = Transfer(moved.tags.begin()->first, &moved.tags, &disk_.tags);
  }
  if (status.ok()) disk_.quarantine.erase(it);
  return status;
}

absl::StatusOr<std::vector<RemovalOutcome>> ModelRegistry::Quarantine(
    const store::DeletionPermit&, const store::RunId& run_id,
    absl::Span<const Removal> removals) {
  std::vector<RemovalOutcome> outcomes;
  for (const Removal& removal : removals) {
    RECLAIM_RETURN_IF_ERROR(pause_("move " + ToString(removal)));
    outcomes.push_back(Tell(OfMove(removal), MoveAway(run_id, removal)));
  }
  return outcomes;
}

absl::StatusOr<std::vector<RemovalOutcome>> ModelRegistry::Restore(
    const store::RunId& run_id, absl::Span<const Removal> removals) {
  std::vector<RemovalOutcome> outcomes(removals.size());
  for (size_t i = removals.size(); i-- > 0;) {
    RECLAIM_RETURN_IF_ERROR(pause_("restore " + ToString(removals[i])));
    outcomes[i] = Tell(OfMove(removals[i]), MoveBack(run_id, removals[i]));
  }
  return outcomes;
}

absl::StatusOr<std::vector<RemovalOutcome>> ModelRegistry::Purge(
    const store::DeletionPermit&, const store::RunId& run_id,
    absl::Span<const Removal> removals) {
  std::vector<RemovalOutcome> outcomes;
  for (const Removal& removal : removals) {
    RECLAIM_RETURN_IF_ERROR(pause_("free " + ToString(removal)));
    const bool was_there = disk_.quarantine.erase({run_id, removal}) > 0;
    outcomes.push_back(Tell(
        std::nullopt, was_there
                          ? absl::OkStatus()
                          : absl::NotFoundError("it is not in quarantine")));
  }
  return outcomes;
}

absl::StatusOr<std::vector<store::QuarantinedItem>>
ModelRegistry::ListQuarantine() const {
  std::vector<store::QuarantinedItem> items;
  for (const auto& [key, moved] : disk_.quarantine) {
    items.push_back({key.first, key.second,
                     tells_sizes_ ? BytesOf(moved) : store::RemovalBytes()});
    observe_(std::nullopt, "quarantined " + ToString(key.second));
  }
  return items;
}

}  // namespace reclaim::simulation

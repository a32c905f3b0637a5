// From facts to operations.

#include "index/graph_scan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"

namespace reclaim::index {
namespace {

using store::SectionKind;
using store::SectionState;

// A writer waits for one mutation at most (I10).
constexpr size_t kOperationsPerMutation = 256;
constexpr size_t kProblemMax = 1000;

// Times are kept to the microsecond.
bool IsSameTime(absl::Time a, absl::Time b) {
  return absl::ToUnixMicros(a) == absl::ToUnixMicros(b);
}

std::string ScopeOf(const store::ProblemFact& fact) {
  if (!fact.repository.empty()) return fact.repository;
  return fact.place.value_or("");
}

// A name that can't be recorded: what it stands for is the whole store's.
std::string RecordableScope(const std::string& scope) {
  return base::IsUtf8(scope) ? scope : "";
}

}  // namespace

bool GraphScan::IsCancelled() const {
  return options_->is_cancelled && options_->is_cancelled();
}

void GraphScan::MarkSeen(NodeId id) {
  if (id == kNoNode) return;
  if (id >= seen_.size()) seen_.resize(id + id / 2 + 1024);
  seen_[id] = true;
}

void GraphScan::AddProblem(const std::string& scope, const std::string& path,
                           const std::string& why) {
  ++report_.problem_count;
  if (report_.problems.size() >= kProblemMax) return;
  report_.problems.push_back({RecordableScope(scope),
                              base::EscapeUnlessUtf8(path),
                              base::EscapeUnlessUtf8(why)});
}

void GraphScan::KeepScope(const std::string& scope, const std::string& why) {
  kept_scopes_.try_emplace(RecordableScope(scope), base::EscapeUnlessUtf8(why));
}

std::vector<UnreadableScope> GraphScan::UnreadableScopes() const {
  std::vector<UnreadableScope> scopes;
  for (const auto& [scope, why] : kept_scopes_) scopes.push_back({scope, why});
  return scopes;
}

absl::Status GraphScan::Apply(const Mutation& mutation) {
  RECLAIM_ASSIGN_OR_RETURN(const AppliedMutation applied,
                           graph_->Apply(mutation, options_->durability));
  for (const std::string& problem : applied.problems) {
    AddProblem("", "", problem);
  }
  return absl::OkStatus();
}

absl::Status GraphScan::Flush() {
  for (size_t begin = 0; begin < pending_.size();
       begin += kOperationsPerMutation) {
    const size_t end =
        std::min(pending_.size(), begin + kOperationsPerMutation);
    Mutation mutation;
    mutation.actor = options_->actor;
    mutation.operations.assign(
        std::make_move_iterator(pending_.begin() + begin),
        std::make_move_iterator(pending_.begin() + end));
    absl::Status status = Apply(mutation);
    if (absl::IsAlreadyExists(status) && IsWholeScan()) {
      status = ApplyEach(mutation);
    }
    RECLAIM_RETURN_IF_ERROR(status);
  }
  pending_.clear();
  return absl::OkStatus();
}

store::Place GraphScan::PlaceOf(const GraphView& view,
                                const std::string& repository) const {
  const auto known = places_.find(repository);
  if (known != places_.end()) return known->second;
  const NodeId id =
      view.FindNamed({NodeKind::kRepository, record_.id, "", repository});
  return id == kNoNode ? "" : view.PlaceName(view.fields(id).place);
}

bool GraphScan::IsKnownBlob(const GraphView& view,
                            const store::BlobFact& fact) const {
  const PlaceId place = view.FindPlace(record_.id, fact.place);
  const NodeId id =
      place == kNoPlace ? kNoNode : view.FindContent(place, fact.digest);
  if (id == kNoNode) return false;
  const NodeFields fields = view.fields(id);
  return fields.state == NodeState::kPresent && !fact.stat.extent &&
         view.ExtentOf(id) == kNoNode && fields.bytes == fact.stat.bytes &&
         absl::ToUnixMicros(fields.recorded) >=
             absl::ToUnixMicros(fact.stat.modified);
}

// A repository that moved within a scan would take the names of its first place
// to blobs of the second.
bool GraphScan::IsOnePlace(const store::RepositoryFact& fact) {
  const auto [known, is_new] = places_.try_emplace(fact.repository, fact.place);
  if (is_new || known->second == fact.place) return true;
  const std::string why = absl::StrCat(
      "the repository ", fact.repository, " is in two places, \"",
      known->second, "\" and \"", fact.place,
      "\": nothing of this store is collected until one of them has another "
      "name");
  AddProblem("", fact.place, why);
  KeepScope("", why);
  return false;
}

absl::Status GraphScan::AcceptBytes(const store::ScanBatch& batch) {
  {
    const std::unique_ptr<GraphReader> reader = graph_->Read();
    const GraphView& view = reader->view();
    for (const store::RepositoryFact& fact : batch.repositories) {
      if (!IsOnePlace(fact)) continue;
      const NodeId id = view.FindNamed(
          {NodeKind::kRepository, record_.id, "", fact.repository});
      if (id != kNoNode &&
          view.PlaceName(view.fields(id).place) == fact.place) {
        continue;
      }
      ++report_.added_count;
      Add(PutRepository{record_.name, fact.repository, fact.place});
    }
    for (const store::BlobFact& fact : batch.blobs) {
      ++report_.seen.blob_count;
      report_.seen.bytes += fact.stat.bytes;
      if (IsKnownBlob(view, fact)) continue;
      const PlaceId place = view.FindPlace(record_.id, fact.place);
      const NodeId id =
          place == kNoPlace ? kNoNode : view.FindContent(place, fact.digest);
      if (id == kNoNode || view.state(id) == NodeState::kAbsent) {
        ++report_.added_count;
        if (id != kNoNode && view.kind(id) == NodeKind::kConfig) {
          late_configs_.emplace_back(fact.place, fact.digest);
        }
      }
      PutBlob put;
      put.name = {record_.name, fact.place, fact.digest};
      put.bytes = fact.stat.bytes;
      put.extent = fact.stat.extent;
      put.link_count = fact.stat.link_count;
      put.modified = fact.stat.modified;
      Add(std::move(put));
    }
  }
  RECLAIM_RETURN_IF_ERROR(Flush());
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  for (const store::BlobFact& fact : batch.blobs) {
    const PlaceId place = view.FindPlace(record_.id, fact.place);
    if (place != kNoPlace) MarkSeen(view.FindContent(place, fact.digest));
  }
  for (const store::RepositoryFact& fact : batch.repositories) {
    MarkSeen(view.FindNamed(
        {NodeKind::kRepository, record_.id, "", fact.repository}));
  }
  return absl::OkStatus();
}

absl::Status GraphScan::AcceptManifests(const store::ScanBatch& batch) {
  std::vector<ManifestName> names;
  {
    const std::unique_ptr<GraphReader> reader = graph_->Read();
    for (const store::BlobFact& fact : batch.blobs) {
      if (fact.is_manifest) names.push_back({fact.place, fact.digest, ""});
    }
    for (const store::TagFact& fact : batch.tags) {
      names.push_back({PlaceOf(reader->view(), fact.repository), fact.digest,
                       fact.media_type});
    }
    for (const store::MembershipFact& fact : batch.memberships) {
      if (fact.kind != store::MembershipKind::kRevision) continue;
      names.push_back({PlaceOf(reader->view(), fact.repository), fact.digest,
                       fact.media_type});
    }
  }
  return ReadManifests(std::move(names));
}

void GraphScan::AddMembership(const GraphView& view,
                              const store::MembershipFact& fact) {
  const NodeId repository =
      view.FindNamed({NodeKind::kRepository, record_.id, "", fact.repository});
  if (repository != kNoNode && !fact.is_only_name) {
    const NodeFields fields = view.fields(repository);
    const NodeId content = view.FindContent(fields.place, fact.digest);
    const auto linked = content == kNoNode
                            ? std::nullopt
                            : view.LinkedAt(repository, content, fact.kind);
    // Whether it was an only name the view does not say of the link: a content
    // that is one somewhere is put again.
    const bool was_only_name =
        content != kNoNode && (view.fields(content).flags & kOnlyName) != 0;
    if (linked && !was_only_name && IsSameTime(*linked, fact.modified)) return;
  }
  PutMembership put;
  put.store = record_.name;
  put.repository = fact.repository;
  put.digest = fact.digest;
  put.kind = fact.kind;
  put.media_type = fact.media_type;
  put.linked = fact.modified;
  put.is_only_name = fact.is_only_name;
  Add(std::move(put));
}

void GraphScan::AddUpload(const GraphView& view,
                          const store::UploadFact& fact) {
  const NodeId id = view.FindNamed(
      {NodeKind::kUpload, record_.id, fact.repository, fact.upload_id});
  if (id == kNoNode) {
    ++report_.added_count;
  } else {
    const NodeFields fields = view.fields(id);
    if (fields.bytes == fact.bytes &&
        IsSameTime(fields.recorded, fact.started)) {
      return;
    }
  }
  PutUpload put;
  put.store = record_.name;
  put.repository = fact.repository;
  put.id = fact.upload_id;
  put.bytes = fact.bytes;
  put.started = fact.started;
  Add(std::move(put));
}

void GraphScan::MarkNamesSeen(const store::ScanBatch& batch) {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  for (const store::TagFact& fact : batch.tags) {
    MarkSeen(reader->view().FindNamed(
        {NodeKind::kTag, record_.id, fact.repository, fact.tag}));
  }
  for (const store::UploadFact& fact : batch.uploads) {
    MarkSeen(reader->view().FindNamed(
        {NodeKind::kUpload, record_.id, fact.repository, fact.upload_id}));
  }
}

absl::Status GraphScan::AcceptNames(const store::ScanBatch& batch) {
  {
    const std::unique_ptr<GraphReader> reader = graph_->Read();
    const GraphView& view = reader->view();
    for (const store::MembershipFact& fact : batch.memberships) {
      members_[{fact.repository, fact.kind}].insert(fact.digest);
      AddMembership(view, fact);
    }
    for (const store::TagFact& fact : batch.tags) AddTag(view, fact);
    for (const store::UploadFact& fact : batch.uploads) AddUpload(view, fact);
  }
  RECLAIM_RETURN_IF_ERROR(Flush());
  RECLAIM_RETURN_IF_ERROR(SettleTags());
  MarkNamesSeen(batch);
  return absl::OkStatus();
}

void GraphScan::AcceptProblems(const store::ScanBatch& batch) {
  for (const store::StrayFact& fact : batch.strays) {
    ++report_.orphan_count;
    report_.orphan_bytes += fact.bytes;
  }
  for (const store::ProblemFact& fact : batch.problems) {
    const std::string scope = ScopeOf(fact);
    const std::string why =
        base::EscapeUnlessUtf8(std::string(fact.status.message()));
    AddProblem(scope, fact.path, why);
    KeepScope(scope,
              absl::StrCat(base::EscapeUnlessUtf8(fact.path), ": ", why));
  }
}

void GraphScan::NoteUnchanged(const store::SectionReport& section) {
  ++report_.unchanged_section_count;
  unchanged_.push_back(section.key());
  if (section.kind == SectionKind::kBlobs) {
    unchanged_blobs_.insert({section.scope, section.shard});
  }
}

ScanMemory GraphScan::Memory(const ScanMemory& last) const {
  ScanMemory memory;
  for (const uint64_t section : listed_) {
    memory.prints[section] = prints_.Of(section);
  }
  for (const uint64_t section : unchanged_) {
    const auto it = last.prints.find(section);
    if (it != last.prints.end()) memory.prints.insert(*it);
  }
  return memory;
}

void GraphScan::NoteSections(const store::ScanBatch& batch) {
  for (const store::SectionReport& section : batch.sections) {
    ++report_.seen.section_count;
    if (section.state == SectionState::kUnchanged) NoteUnchanged(section);
    if (section.state == SectionState::kUnreadable) {
      const std::string why(section.error.message());
      AddProblem(section.scope, "", why);
      KeepScope(section.scope, why);
    }
    const bool is_listed = section.state == SectionState::kListed;
    if (is_listed) listed_.push_back(section.key());
    switch (section.kind) {
      case SectionKind::kRepositories:
        has_listed_repositories_ = is_listed;
        break;
      case SectionKind::kBlobs:
        has_listed_blobs_ |= is_listed;
        explained_places_.insert(section.scope);
        if (!is_listed) unjudged_blobs_.insert({section.scope, section.shard});
        break;
      case SectionKind::kTags:
        if (is_listed) listed_tags_.insert(section.scope);
        break;
      case SectionKind::kUploads:
        if (is_listed) listed_uploads_.insert(section.scope);
        break;
      case SectionKind::kRevisions:
      case SectionKind::kLayerLinks:
        break;  // settled in AcceptMembers()
      default:
        NoteRecordSection(section);
    }
  }
}

absl::Status GraphScan::AcceptMembers(const store::ScanBatch& batch) {
  for (const store::SectionReport& section : batch.sections) {
    if (section.kind != SectionKind::kRevisions &&
        section.kind != SectionKind::kLayerLinks) {
      continue;
    }
    const MemberSection key{section.scope,
                            section.kind == SectionKind::kRevisions
                                ? store::MembershipKind::kRevision
                                : store::MembershipKind::kLayer};
    if (section.state == SectionState::kListed) {
      RECLAIM_RETURN_IF_ERROR(RemoveMembers(key));
    }
    members_.erase(key);
  }
  return absl::OkStatus();
}

absl::Status GraphScan::Accept(store::ScanBatch batch) {
  if (IsCancelled()) return absl::CancelledError("the scan was cancelled");
  AcceptProblems(batch);
  NoteSections(batch);
  prints_.AddFacts(batch);
  RECLAIM_RETURN_IF_ERROR(AcceptBytes(batch));
  RECLAIM_RETURN_IF_ERROR(AcceptManifests(batch));
  RECLAIM_RETURN_IF_ERROR(AcceptNames(batch));
  RECLAIM_RETURN_IF_ERROR(AcceptMembers(batch));
  RECLAIM_RETURN_IF_ERROR(AcceptRecords(batch));
  if (options_->on_progress) options_->on_progress(report_.seen);
  return absl::OkStatus();
}

}  // namespace reclaim::index

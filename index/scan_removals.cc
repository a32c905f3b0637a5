// What a scan looked for and did not find.

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/graph_scan.h"

namespace reclaim::index {
namespace {

constexpr NodeId kYieldInterval = 4096;

}  // namespace

absl::Status GraphScan::RemoveMembers(const MemberSection& section) {
  const std::string& repository = section.first;
  const absl::flat_hash_set<oci::Digest>& found = members_[section];
  {
    const std::unique_ptr<GraphReader> reader = graph_->Read();
    const GraphView& view = reader->view();
    const NodeId id =
        view.FindNamed({NodeKind::kRepository, record_.id, "", repository});
    if (id == kNoNode) return absl::OkStatus();
    const store::MembershipKind wanted = section.second;
    // A repository may have a hundred thousand, and their digests lie in a
    // file: which they are first, and then each with a pause (I10).
    std::vector<NodeId> listed;
    view.ForEachMember(
        id, [&](NodeId content, store::MembershipKind is, absl::Time linked) {
          if (is == wanted && linked < report_.begin) listed.push_back(content);
          return true;
        });
    uint64_t step = 0;
    for (const NodeId content : listed) {
      if (++step % kYieldInterval == 0) view.Yield();
      if (view.fields(content).stamp >= epoch_) continue;
      const oci::Digest digest = view.digest(content);
      if (found.contains(digest)) continue;
      // It may have gone, or been linked anew, in a pause.
      const std::optional<absl::Time> linked =
          view.LinkedAt(id, content, wanted);
      if (!linked || *linked >= report_.begin) continue;
      ++report_.removed_count;
      Add(RemoveMembership{record_.name, repository, digest, wanted});
    }
  }
  return Flush();
}

bool GraphScan::IsIn(const BlobSections& sections, const store::Place& place,
                     const oci::Digest& digest) {
  const int shard = static_cast<unsigned char>(digest.bytes()[0]);
  return sections.count({place, -1}) > 0 || sections.count({place, shard}) > 0;
}

void GraphScan::KeepPlace(const store::Place& place, const std::string& why) {
  if (!unexplained_places_.insert(place).second) return;
  const std::string what = absl::StrCat(
      "the scan did not find it any more, but content of it is there (", why,
      "), so all of it is kept; put back what is missing, or remove it whole");
  AddProblem(place, place, what);
  KeepScope(place, what);
}

std::vector<ContentName> GraphScan::UnseenBlobs() {
  std::vector<ContentName> unseen;
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  for (NodeId id = 0; id < view.node_count(); ++id) {
    if (id % kYieldInterval == kYieldInterval - 1) view.Yield();
    if (!view.Exists(id) || WasSeen(id)) continue;
    const NodeFields fields = view.fields(id);
    if (fields.store != record_.id || !IsContent(fields.kind) ||
        fields.kind == NodeKind::kExtent ||
        fields.state != NodeState::kPresent) {
      continue;
    }
    const store::Place place = view.PlaceName(fields.place);
    const oci::Digest digest = view.digest(id);
    if (IsIn(unchanged_blobs_, place, digest)) {
      ++report_.unchanged_blob_count;
      report_.unchanged_bytes += fields.bytes;
    } else if (IsIn(unjudged_blobs_, place, digest)) {
      continue;
    } else if (fields.stamp < epoch_) {
      unseen.push_back({record_.name, place, digest});
    } else if (!IsExplained(place)) {
      KeepPlace(place, "a client has recorded some of it since");
    }
  }
  return unseen;
}

// A listing may miss what is written meanwhile: only what the store says is not
// there is not there.
std::vector<ContentName> GraphScan::FindGoneBlobs() {
  std::vector<ContentName> gone;
  for (ContentName& name : UnseenBlobs()) {
    const absl::Status status = store_->Stat(name.place, name.digest).status();
    if (absl::IsNotFound(status)) {
      gone.push_back(std::move(name));
    } else if (!IsExplained(name.place)) {
      // What is not found has no names, but not what has content: a layout may
      // have lost its mark, or be reached by a link (I5).
      KeepPlace(name.place, status.ok() ? name.digest.ToString()
                                        : std::string(status.message()));
    }
  }
  return gone;
}

// Of each file that has lost a name with one of these: another of its names.
std::vector<ContentName> GraphScan::NamesBeside(
    const std::vector<ContentName>& gone) const {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  absl::flat_hash_set<NodeId> going;
  absl::flat_hash_set<NodeId> files;
  uint64_t step = 0;
  const auto pause = [&] {
    if (++step % kYieldInterval == 0) view.Yield();
  };
  for (const ContentName& name : gone) {
    pause();
    const NodeId id =
        view.FindContent(view.FindPlace(record_.id, name.place), name.digest);
    if (id == kNoNode) continue;
    going.insert(id);
    if (view.ExtentOf(id) != kNoNode) files.insert(view.ExtentOf(id));
  }
  std::vector<ContentName> beside;
  for (const NodeId file : files) {
    pause();
    view.ForEachKeeper(file, [&](NodeId id) {
      if (going.contains(id) || view.state(id) != NodeState::kPresent) {
        return true;
      }
      beside.push_back({record_.name, view.PlaceName(view.fields(id).place),
                        view.digest(id)});
      return false;
    });
  }
  return beside;
}

// How many names their files have left: the sections of these may be unchanged,
// and then nothing else of this scan says so.
void GraphScan::PutLinksLeft(const std::vector<ContentName>& names) {
  for (const ContentName& name : names) {
    const absl::StatusOr<store::BlobStat> stat =
        store_->Stat(name.place, name.digest);
    if (!stat.ok()) continue;  // the next scan
    PutBlob put;
    put.name = name;
    put.bytes = stat->bytes;
    put.extent = stat->extent;
    put.link_count = stat->link_count;
    put.modified = stat->modified;
    Add(std::move(put));
  }
}

void GraphScan::FindGoneNames() {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  const auto visit = [&](NodeKind kind, const auto& is_gone) {
    view.ForEachNamed(kind, record_.id, [&](NodeId id) {
      if (WasSeen(id) || view.fields(id).stamp >= epoch_) return true;
      const NamedKey key = view.named_key(id);
      if (is_gone(id, key)) ++report_.removed_count;
      return true;
    });
  };
  visit(NodeKind::kTag, [&](NodeId, const NamedKey& key) {
    if (listed_tags_.count(key.scope) == 0) return false;
    Add(RemoveTag{record_.name, key.scope, key.name});
    return true;
  });
  visit(NodeKind::kUpload, [&](NodeId, const NamedKey& key) {
    if (listed_uploads_.count(key.scope) == 0) return false;
    Add(RemoveNamed{record_.name, NodeKind::kUpload, key.scope, key.name});
    return true;
  });
  visit(NodeKind::kRepository, [&](NodeId id, const NamedKey& key) {
    if (!has_listed_repositories_ ||
        unexplained_places_.count(view.PlaceName(view.fields(id).place)) > 0) {
      return false;
    }
    Add(RemoveRepository{record_.name, key.name});
    return true;
  });
}

absl::Status GraphScan::Finish() {
  RECLAIM_RETURN_IF_ERROR(ReadUnread());
  std::vector<ContentName> gone;
  if (has_listed_repositories_ || has_listed_blobs_) gone = FindGoneBlobs();
  FindGoneNames();
  FindGoneRecords();
  RECLAIM_RETURN_IF_ERROR(Flush());
  const std::vector<ContentName> beside = NamesBeside(gone);
  for (ContentName& name : gone) {
    ++report_.removed_count;
    Add(RemoveBlob{std::move(name)});
  }
  // Sections with anything strange in them are never unchanged: all is counted.
  if (has_listed_repositories_) {
    Add(SetOrphans{record_.name, report_.orphan_bytes, report_.orphan_count});
  }
  PutLinksLeft(beside);
  RECLAIM_RETURN_IF_ERROR(Flush());
  DoubtMissing();
  KeepShared();
  return Flush();
}

}  // namespace reclaim::index

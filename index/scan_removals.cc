// What a scan looked for and did not find.

#include <utility>

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
    view.ForEachMember(
        id, [&](NodeId content, store::MembershipKind is, absl::Time linked) {
          if (is != wanted || found.contains(view.digest(content)) ||
              view.fields(content).stamp >= epoch_ || linked >= report_.begin) {
            return true;
          }
          ++report_.removed_count;
          Add(RemoveMembership{record_.name, repository, view.digest(content),
                               wanted});
          return true;
        });
  }
  return Flush();
}

bool GraphScan::IsIn(const BlobSections& sections, const store::Place& place,
                     const oci::Digest& digest) {
  const int shard = static_cast<unsigned char>(digest.bytes()[0]);
  return sections.count({place, -1}) > 0 || sections.count({place, shard}) > 0;
}

void GraphScan::FindGoneBlobs(std::vector<ContentName>* gone) {
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
    } else if (!IsIn(unjudged_blobs_, place, digest) && fields.stamp < epoch_) {
      gone->push_back({record_.name, place, digest});
    }
  }
}

void GraphScan::FindGoneNames() {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  const auto visit = [&](NodeKind kind, const auto& is_gone) {
    view.ForEachNamed(kind, record_.id, [&](NodeId id) {
      if (WasSeen(id) || view.fields(id).stamp >= epoch_) return true;
      const NamedKey key = view.named_key(id);
      if (is_gone(key)) ++report_.removed_count;
      return true;
    });
  };
  visit(NodeKind::kTag, [&](const NamedKey& key) {
    if (listed_tags_.count(key.scope) == 0) return false;
    Add(RemoveTag{record_.name, key.scope, key.name});
    return true;
  });
  visit(NodeKind::kUpload, [&](const NamedKey& key) {
    if (listed_uploads_.count(key.scope) == 0) return false;
    Add(RemoveNamed{record_.name, NodeKind::kUpload, key.scope, key.name});
    return true;
  });
  visit(NodeKind::kRepository, [&](const NamedKey& key) {
    if (!has_listed_repositories_) return false;
    Add(RemoveRepository{record_.name, key.name});
    return true;
  });
}

absl::Status GraphScan::Finish() {
  RECLAIM_RETURN_IF_ERROR(ReadUnread());
  FindGoneNames();
  FindGoneRecords();
  RECLAIM_RETURN_IF_ERROR(Flush());
  if (has_listed_repositories_ || has_listed_blobs_) {
    std::vector<ContentName> gone;
    FindGoneBlobs(&gone);
    for (ContentName& name : gone) {
      // A listing may miss what is written meanwhile: only what the store says
      // is not there is not there.
      const absl::Status status =
          store_->Stat(name.place, name.digest).status();
      if (!absl::IsNotFound(status)) continue;
      ++report_.removed_count;
      Add(RemoveBlob{std::move(name)});
    }
  }
  // Sections with anything strange in them are never unchanged: all is counted.
  if (has_listed_repositories_) {
    Add(SetOrphans{record_.name, report_.orphan_bytes, report_.orphan_count});
  }
  return Flush();
}

}  // namespace reclaim::index

// What the graph does not know whole, although something leads to it.
//
// A manifest is read when a name leads to it; but it may not have been there
// then, or not have been readable, and what lies below an index has no name of
// its own.  So at its end every scan looks at the graph, from all names
// downwards, for what has to be read still.

#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status_macros.h"
#include "index/graph_scan.h"

namespace reclaim::index {
namespace {

constexpr NodeId kYieldInterval = 4096;
constexpr uint64_t kStepsPerSlice = 4096;

bool IsHere(const GraphView& view, NodeId id) {
  return view.Exists(id) && view.state(id) == NodeState::kPresent;
}

}  // namespace

bool GraphScan::NeedsReading(const ManifestName& name) const {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  const PlaceId place = view.FindPlace(record_.id, name.place);
  return NeedsReading(
      view, place == kNoPlace ? kNoNode : view.FindContent(place, name.digest));
}

bool GraphScan::NeedsReading(const GraphView& view, NodeId id) const {
  if (id == kNoNode || !IsManifestLike(view.kind(id))) return true;
  if (options_->from_nothing) return true;
  const NodeFields fields = view.fields(id);
  if ((fields.flags & kOpaque) != 0) return true;
  // A child of an image index that came later has not been read yet, whatever
  // else names it: as an image's layer or config it is no manifest.  Of an
  // image's own parts those are unexplained that it lists as manifests.
  const bool is_index = fields.kind == NodeKind::kImageIndex;
  for (const NodeId child : view.Kept(id)) {
    const NodeKind kind = view.kind(child);
    const bool is_unread =
        is_index ? !IsManifestLike(kind) : kind == NodeKind::kBlob;
    if (is_unread && IsHere(view, child)) return true;
  }
  return false;
}

// What tags and revisions name.
std::vector<NodeId> GraphScan::NamedContent() const {
  std::vector<NodeId> named;
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  view.ForEachNamed(NodeKind::kTag, record_.id, [&](NodeId tag) {
    for (const NodeId target : view.Kept(tag)) named.push_back(target);
    return true;
  });
  view.ForEachNamed(NodeKind::kRepository, record_.id, [&](NodeId repository) {
    view.ForEachMember(repository, [&](NodeId content,
                                       store::MembershipKind kind, absl::Time) {
      if (kind == store::MembershipKind::kRevision) named.push_back(content);
      return true;
    });
    return true;
  });
  return named;
}

// What pins, leases, containers and snapshots name, which may be anything.
std::vector<NodeId> GraphScan::HeldContent() const {
  std::vector<NodeId> held;
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  for (const NodeKind kind : {NodeKind::kPin, NodeKind::kLease,
                              NodeKind::kContainer, NodeKind::kSnapshot}) {
    view.ForEachNamed(kind, record_.id, [&](NodeId holder) {
      for (const NodeId target : view.Kept(holder)) {
        if (view.Exists(target) && IsContent(view.kind(target))) {
          held.push_back(target);
        }
      }
      return true;
    });
  }
  return held;
}

// What is not understood, and, from nothing, every manifest: also those that
// nothing names.
std::vector<NodeId> GraphScan::DoubtfulContent() {
  std::vector<NodeId> found;
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  for (NodeId id = 0; id < view.node_count(); ++id) {
    if (id % kYieldInterval == kYieldInterval - 1) view.Yield();
    if (!view.Exists(id) || !IsContent(view.kind(id))) continue;
    const NodeFields fields = view.fields(id);
    if (fields.store != record_.id) continue;
    const bool is_opaque = (fields.flags & kOpaque) != 0;
    if (fields.state == NodeState::kAbsent && is_opaque) {
      absent_doubts_.push_back(id);
    }
    if (fields.state != NodeState::kPresent) continue;
    if (is_opaque || (options_->from_nothing && IsManifestLike(fields.kind))) {
      found.push_back(id);
    }
  }
  return found;
}

// Of `tops` and, through manifests that are known, of what lies below them.
std::vector<NodeId> GraphScan::UnreadBelow(
    const std::vector<NodeId>& tops) const {
  std::vector<NodeId> unread;
  absl::flat_hash_set<NodeId> seen;
  std::vector<NodeId> stack = tops;
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  uint64_t step = 0;
  while (!stack.empty()) {
    if (++step % kStepsPerSlice == 0) view.Yield();
    const NodeId id = stack.back();
    stack.pop_back();
    // What is not here has nothing to read.
    if (!IsHere(view, id) || !seen.insert(id).second) continue;
    if (NeedsReading(view, id)) {
      unread.push_back(id);
      continue;
    }
    for (const NodeId child : view.Kept(id)) {
      if (IsManifestLike(view.kind(child))) stack.push_back(child);
    }
  }
  return unread;
}

std::vector<GraphScan::ManifestName> GraphScan::NamesOf(
    const std::vector<NodeId>& nodes) const {
  std::vector<ManifestName> names;
  std::vector<NodeId> unread;
  {
    const std::unique_ptr<GraphReader> reader = graph_->Read();
    const GraphView& view = reader->view();
    for (const NodeId id : nodes) {
      ManifestName name;
      name.place = view.PlaceName(view.fields(id).place);
      name.digest = view.digest(id);
      if (read_.contains({name.place, name.digest})) continue;
      names.push_back(std::move(name));
      unread.push_back(id);
    }
  }
  for (size_t i = 0; i < names.size(); ++i) {
    // Without its type the bytes have to tell what they are.
    names[i].media_type = graph_->GetMediaType(unread[i]).value_or("");
  }
  return names;
}

absl::Status GraphScan::ReadGuesses(std::vector<ManifestName> guesses) {
  for (ManifestName& name : guesses) name.is_guess = true;
  return ReadManifests(std::move(guesses));
}

absl::Status GraphScan::ReadHeldNodes(const std::vector<NodeId>& held) {
  std::vector<NodeId> known;
  std::vector<NodeId> unexplained;
  {
    const std::vector<NodeId> unread = UnreadBelow(held);
    const std::unique_ptr<GraphReader> reader = graph_->Read();
    for (const NodeId id : unread) {
      const bool is_known = IsManifestLike(reader->view().kind(id));
      (is_known ? known : unexplained).push_back(id);
    }
  }
  RECLAIM_RETURN_IF_ERROR(ReadManifests(NamesOf(known)));
  return ReadGuesses(NamesOf(unexplained));
}

absl::Status GraphScan::ReadHeld(absl::Span<const ContentName> held) {
  std::vector<NodeId> known;
  std::vector<ManifestName> unseen;
  {
    const std::unique_ptr<GraphReader> reader = graph_->Read();
    const GraphView& view = reader->view();
    for (const ContentName& content : held) {
      const PlaceId place = view.FindPlace(record_.id, content.place);
      if (content.store != record_.name || place == kNoPlace) continue;
      const NodeId id = view.FindContent(place, content.digest);
      if (id != kNoNode && IsHere(view, id)) {
        known.push_back(id);
      } else {
        // It may have come since the last scan.
        unseen.push_back({content.place, content.digest, ""});
      }
    }
  }
  RECLAIM_RETURN_IF_ERROR(ReadHeldNodes(known));
  return ReadGuesses(std::move(unseen));
}

// Manifests that were not there when a name led to them, and have come since.
absl::Status GraphScan::ReadLate() {
  std::vector<ManifestName> late;
  {
    const std::unique_ptr<GraphReader> reader = graph_->Read();
    const GraphView& view = reader->view();
    for (ManifestName& name : std::exchange(missing_, {})) {
      const PlaceId place = view.FindPlace(record_.id, name.place);
      const NodeId id =
          place == kNoPlace ? kNoNode : view.FindContent(place, name.digest);
      if (id == kNoNode || !IsHere(view, id)) continue;
      read_.erase({name.place, name.digest});
      guessed_.erase({name.place, name.digest});
      late.push_back(std::move(name));
    }
  }
  return ReadManifests(std::move(late));
}

// No name has led to these in this scan.  What has become a layer or config of
// an image since it was taken for a manifest is none, unless it looks like one.
absl::Status GraphScan::ReadDoubtful() {
  std::vector<NodeId> manifests;
  std::vector<NodeId> parts;
  {
    const std::vector<NodeId> doubtful = DoubtfulContent();
    const std::unique_ptr<GraphReader> reader = graph_->Read();
    for (const NodeId id : doubtful) {
      const NodeKind kind = reader->view().kind(id);
      const bool is_part =
          kind == NodeKind::kLayer || kind == NodeKind::kConfig;
      (is_part ? parts : manifests).push_back(id);
    }
  }
  RECLAIM_RETURN_IF_ERROR(ReadManifests(NamesOf(manifests)));
  return ReadGuesses(NamesOf(parts));
}

absl::Status GraphScan::ReadUnread() {
  RECLAIM_RETURN_IF_ERROR(ReadManifests(NamesOf(UnreadBelow(NamedContent()))));
  RECLAIM_RETURN_IF_ERROR(ReadHeldNodes(HeldContent()));
  RECLAIM_RETURN_IF_ERROR(ReadDoubtful());
  return ReadLate();
}

}  // namespace reclaim::index

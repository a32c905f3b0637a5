// What is no damage, and has to be known.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "index/graph_records.h"
#include "index/put_codec.h"
#include "index/verifier.h"

namespace reclaim::index {
namespace {

constexpr uint64_t kRemarksOfOneCheck = 100;
// By so much the clocks of two machines that keep the time may differ.
constexpr absl::Duration kClockSkewMax = absl::Minutes(1);

template <typename Put>
absl::Time CreatedOf(const Put& put) {
  return put.has_create_time() ? FromProto(put.create_time())
                               : absl::InfinitePast();
}

// What the owner of a record of an engine says; InfinitePast() if nothing.
absl::Time CreationOf(const storage::v1::NamedRecord& record) {
  switch (record.put_case()) {
    case storage::v1::NamedRecord::kContainer:
      return CreatedOf(record.container());
    case storage::v1::NamedRecord::kSnapshot:
      return CreatedOf(record.snapshot());
    case storage::v1::NamedRecord::kVolume:
      return CreatedOf(record.volume());
    case storage::v1::NamedRecord::kNetwork:
      return CreatedOf(record.network());
    case storage::v1::NamedRecord::kBuildCache:
      return CreatedOf(record.build_cache());
    default:
      return absl::InfinitePast();
  }
}

bool HasSnapshot(const GraphView& view, NodeId content) {
  bool has_one = false;
  view.ForEachKeeper(content, [&](NodeId keeper) {
    has_one = view.Exists(keeper) && view.kind(keeper) == NodeKind::kSnapshot;
    return !has_one;
  });
  return has_one;
}

}  // namespace

void Verifier::Remark(Finding finding) {
  if (++remarks_[finding.check] <= kRemarksOfOneCheck) {
    Report(std::move(finding));
  }
}

void Verifier::SumUpRemarks() {
  for (const auto& [check, count] : remarks_) {
    if (count <= kRemarksOfOneCheck) continue;
    Report({check, FindingSeverity::kNote, store_.name,
            absl::StrCat(count - kRemarksOfOneCheck, " more of these"),
            "most likely they have one cause: see the first ones"});
  }
}

std::string Verifier::NameOf(const GraphView& view, NodeId id) {
  if (IsContent(view.kind(id))) {
    return NameOf(view.PlaceName(view.fields(id).place), view.digest(id));
  }
  const NamedKey key = view.named_key(id);
  return absl::StrCat(ToString(key.kind), " ", key.scope,
                      key.scope.empty() ? "" : ":", key.name);
}

// Young until it has come (I5), and by no filter older than anything
// (SEMANTICS, case 46).
void Verifier::NoteTime(NodeId id, absl::Time time, absl::string_view what) {
  if (time <= clock_->Now() + kClockSkewMax) return;
  std::string subject;
  {
    const auto reader = graph_->Read();
    if (!reader->view().Exists(id)) return;
    subject = NameOf(reader->view(), id);
  }
  Remark({"future-time", FindingSeverity::kNote, std::move(subject),
          absl::StrCat(
              what, " is in the future: ",
              absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone())),
          "nothing is older than that until then; look at the clock of whoever "
          "made it"});
}

void Verifier::NoteRecord(const KnownNode& node, absl::string_view value) {
  if (node.kind == NodeKind::kExtent) return;
  NoteTime(node.id, node.recorded, "the time from which its age counts");
  switch (node.kind) {
    case NodeKind::kConfig:
    case NodeKind::kBlob:
      return NoteContent(node, value);
    case NodeKind::kContainer:
    case NodeKind::kSnapshot:
    case NodeKind::kVolume:
    case NodeKind::kNetwork:
    case NodeKind::kBuildCache:
      break;
    default:
      return;
  }
  const auto record =
      ParseRecord<storage::v1::NamedRecord>(Family::kNamed, value);
  if (!record.ok()) return;  // CheckFamily() tells that
  const absl::Time created = CreationOf(*record);
  // Of a snapshot they are one.
  if (created != node.recorded) NoteTime(node.id, created, "its creation");
  NoteBase(node.id, record->container().snapshot(),
           "the snapshot that it stands on");
  NoteBase(node.id, record->snapshot().parent(), "its parent");
}

void Verifier::NoteContent(const KnownNode& node, absl::string_view value) {
  const auto record =
      ParseRecord<storage::v1::ContentRecord>(Family::kContent, value);
  if (!record.ok() || !record->has_config()) return;
  if (record->config().has_created()) {
    NoteTime(node.id, FromMicros(record->config().created()),
             "the creation of its image");
  }
  if (has_snapshots_) NoteImage(node.id, record->config());
}

// It counts no unpacked bytes, and is no error of anything else (SEMANTICS,
// case 71).  A snapshot may have been recorded before its parent, so it has no
// edge to show for it.
void Verifier::NoteBase(NodeId id, const std::string& snapshot,
                        absl::string_view what) {
  if (snapshot.empty()) return;
  std::string subject;
  {
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    if (!view.Exists(id) || view.FindNamed({NodeKind::kSnapshot, store_.id, "",
                                            snapshot}) != kNoNode) {
      return;
    }
    subject = NameOf(view, id);
  }
  Remark({"missing-snapshot", FindingSeverity::kNote, std::move(subject),
          absl::StrCat(what, ", ", snapshot,
                       ", is not there, and counts no unpacked bytes"),
          "its engine can tell what became of it"});
}

// An image with layers that something needs, in a store that unpacks images.
void Verifier::NoteImage(NodeId config,
                         const storage::v1::ImageConfigRecord& said) {
  // Those of artifacts say nothing, or this, and are never unpacked.
  if (said.os().empty() || said.os() == "unknown") return;
  const auto reader = graph_->Read();
  const GraphView& view = reader->view();
  if (!view.Exists(config) || view.state(config) != NodeState::kPresent) return;
  NodeId image = kNoNode;
  bool has_layers = false;
  bool is_unpacked = HasSnapshot(view, config);
  view.ForEachKeeper(config, [&](NodeId keeper) {
    if (!view.Exists(keeper) || view.kind(keeper) != NodeKind::kManifest ||
        view.state(keeper) != NodeState::kPresent || !reader->IsLive(keeper)) {
      return true;
    }
    image = keeper;
    for (const NodeId part : view.Kept(keeper)) {
      has_layers = has_layers || view.kind(part) == NodeKind::kLayer;
    }
    is_unpacked = is_unpacked || HasSnapshot(view, keeper);
    return !is_unpacked;
  });
  const std::string platform =
      absl::StrCat(said.os(), "/", said.architecture(), "/", said.variant());
  if (is_unpacked) {
    unpacked_platforms_.insert(platform);
  } else if (image != kNoNode && has_layers) {
    packed_images_.emplace_back(platform, NameOf(view, image));
  }
}

// One for another platform than all that is unpacked here is fetched to be
// passed on.
void Verifier::NotePackedImages() {
  for (auto& [platform, image] : packed_images_) {
    if (unpacked_platforms_.count(platform) == 0) continue;
    Remark({"missing-snapshot", FindingSeverity::kNote, std::move(image),
            "no snapshot was unpacked from it, so it counts no unpacked bytes",
            "nothing, unless containers of it are to start quickly: then pull "
            "it again"});
  }
}

}  // namespace reclaim::index

#include "tests/benchmark/record_writer.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "index/graph_records.h"
#include "index/reference_graph.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "store/types.h"

namespace reclaim::benchmark {
namespace {

using index::Family;
using index::NodeId;
using index::ToMicros;

constexpr size_t kBatchEntryCount = 4096;
constexpr char kTagLevel = 0;
constexpr char kIndexLevel = 1;
constexpr char kManifestLevel = 2;
constexpr char kSubjectLevel = 3;
constexpr char kReferrerLevel = 4;
constexpr char kStoreName[] = "s";
// As a caller of the Unix socket is called in an event.
constexpr char kActor[] = "uid:1000";

void Commit(index::Engine* engine, index::Batch* batch) {
  RECLAIM_CHECK(engine->Commit(*batch, index::Durability::kBuffered).ok(),
                "the folder of the measurement has space");
  *batch = index::Batch();
}

}  // namespace

void LatestImages::Note(const index::ContentRow& row) {
  if (index::IsManifestLike(row.kind)) digests_[row.id] = row.key.digest;
}

oci::Digest LatestImages::Take(const index::NamedRow& tag) {
  const auto named = digests_.find(tag.targets.front());
  RECLAIM_CHECK(named != digests_.end(), "a tag comes after its image");
  const oci::Digest digest = named->second;
  digests_.clear();
  return digest;
}

void RecordWriter::Put(Family family, std::string key, std::string value) {
  batch_.Put(family, std::move(key), std::move(value));
  if (batch_.entries().size() >= kBatchEntryCount) Flush();
}

void RecordWriter::Flush() { Commit(&engine_, &batch_); }

void RecordWriter::OnContent(const index::ContentRow& row) {
  storage::v1::ContentRecord record;
  record.set_id(row.id);
  record.set_store(row.store);
  record.set_place(row.key.place);
  record.set_digest_algorithm(
      static_cast<uint32_t>(row.key.digest.algorithm()));
  record.set_digest(std::string(row.key.digest.bytes()));
  record.set_kind(static_cast<uint32_t>(row.kind));
  record.set_state(static_cast<uint32_t>(row.state));
  record.set_flags(row.flags);
  record.set_logical_bytes(row.bytes.logical_bytes);
  record.set_allocated_bytes(row.bytes.allocated_bytes);
  record.set_stamp(row.stamp);
  record.set_recorded(ToMicros(row.recorded));
  if (row.kind == index::NodeKind::kManifest) {
    record.set_media_type("application/vnd.oci.image.manifest.v1+json");
  } else if (row.kind == index::NodeKind::kImageIndex) {
    record.set_media_type("application/vnd.oci.image.index.v1+json");
  }
  record.mutable_children()->Add(row.children.begin(), row.children.end());
  if (row.subject != index::kNoNode) record.set_subject(row.subject);
  Put(Family::kContent, index::IdKey(row.id), record.SerializeAsString());
  images_.Note(row);
  next_id_ = row.id + 1;
}

void RecordWriter::OnNamed(const index::NamedRow& row) {
  storage::v1::NamedRecord record;
  record.set_id(row.id);
  record.set_store(row.key.store);
  record.set_kind(static_cast<uint32_t>(row.key.kind));
  record.set_scope(row.key.scope);
  record.set_name(row.key.name);
  record.set_place(row.place);
  record.set_recorded(ToMicros(row.recorded));
  for (const NodeId target : row.targets) record.add_targets(target);
  if (row.key.kind == index::NodeKind::kTag) {
    auto* const tag = record.mutable_tag();
    tag->set_store(kStoreName);
    tag->set_repository(row.key.scope);
    tag->set_tag(row.key.name);
    tag->set_digest(images_.Take(row).ToString());
    const int64_t micros = ToMicros(row.recorded);
    tag->mutable_push_time()->set_seconds(micros / 1'000'000);
    tag->mutable_push_time()->set_nanos(
        static_cast<int32_t>(micros % 1'000'000 * 1000));
  } else {
    record.mutable_repository()->set_store(kStoreName);
    record.mutable_repository()->set_repository(row.key.name);
  }
  Put(Family::kNamed, index::IdKey(row.id), record.SerializeAsString());
  next_id_ = row.id + 1;
}

void RecordWriter::OnMembership(const index::MembershipRow& row) {
  storage::v1::MembershipRecord record;
  record.set_repository(row.repository);
  record.set_content(row.content);
  record.set_kind(static_cast<uint32_t>(row.kind));
  record.set_linked(ToMicros(row.linked));
  Put(Family::kMembership,
      index::MembershipKey(row.repository, row.content, row.kind),
      record.SerializeAsString());
}

void RecordWriter::Finish() {
  storage::v1::GraphState state;
  state.set_format_version(index::kFormatVersion);
  state.set_next_node_id(next_id_);
  state.set_next_store_id(kStore + 1);
  state.set_next_place_id(kPlace + 1);
  state.set_epoch(1);
  state.set_next_sequence(1);
  Put(Family::kMeta, index::kStateKey, state.SerializeAsString());
  index::StoreRecord store;
  store.id = kStore;
  store.name = kStoreName;
  store.kind = kind_;
  if (kind_ == store::StoreKind::kExternal) {
    store.uri = absl::StrCat("external:", kStoreName);
  }
  Put(Family::kMeta, index::StoreKey(kStore),
      index::ToProto(store).SerializeAsString());
  storage::v1::PlaceRecord place;
  place.set_id(kPlace);
  place.set_store(kStore);
  Put(Family::kMeta, index::PlaceKey(kPlace), place.SerializeAsString());
  Flush();
}

void EventWriter::Put(index::Event event) {
  event.sequence = ++sequence_;
  event.kind = index::EventKind::kAdded;
  event.store = kStoreName;
  event.actor = kActor;
  batch_.Put(Family::kEvent, index::SequenceKey(event.sequence),
             index::ToProto(event).SerializeAsString());
  if (batch_.entries().size() >= kBatchEntryCount) Commit(&engine_, &batch_);
}

void EventWriter::OnContent(const index::ContentRow& row) {
  images_.Note(row);
  index::Event event;
  event.time = row.recorded;
  event.node_kind = row.kind;
  event.digest = row.key.digest;
  event.bytes = row.bytes;
  Put(std::move(event));
}

void EventWriter::OnNamed(const index::NamedRow& row) {
  index::Event event;
  event.time = row.recorded;
  event.node_kind = row.key.kind;
  event.scope = row.key.scope;
  event.name = row.key.name;
  if (row.key.kind == index::NodeKind::kTag) event.digest = images_.Take(row);
  Put(std::move(event));
}

void EventWriter::Finish() { Commit(&engine_, &batch_); }

void PackedWriter::Put(char level, NodeId from, NodeId order,
                       const std::vector<NodeId>& to) {
  std::string value(to.size() * sizeof(NodeId), '\0');
  std::memcpy(value.data(), to.data(), value.size());
  batch_.Put(Family::kContent,
             absl::StrCat(absl::string_view(&level, 1), index::IdKey(from),
                          index::IdKey(order)),
             std::move(value));
  if (batch_.entries().size() >= kBatchEntryCount) Commit(&engine_, &batch_);
}

void PackedWriter::OnContent(const index::ContentRow& row) {
  if (row.subject != index::kNoNode) {
    Put(kSubjectLevel, row.subject, row.id, {row.id});
  }
  if (row.children.empty()) return;
  Put(row.subject != index::kNoNode              ? kReferrerLevel
      : row.kind == index::NodeKind::kImageIndex ? kIndexLevel
                                                 : kManifestLevel,
      row.id, 0, row.children);
}

void PackedWriter::OnNamed(const index::NamedRow& row) {
  if (row.key.kind == index::NodeKind::kTag) {
    Put(kTagLevel, row.id, 0, row.targets);
  }
}

void PackedWriter::Finish() { Commit(&engine_, &batch_); }

std::vector<uint64_t> MarkByScan(const index::Engine& engine,
                                 uint32_t node_count) {
  std::vector<uint64_t> bits((node_count + 63) / 64);
  const auto set = [&](NodeId id) {
    bits[id / 64] |= uint64_t{1} << (id % 64);
  };
  const absl::Status scanned = engine.Scan(
      Family::kContent, "", "",
      [&](absl::string_view key, absl::string_view value) {
        NodeId from = 0;
        for (int i = 1; i <= 4; ++i) {
          from = from << 8 | static_cast<uint8_t>(key[i]);
        }
        if (key[0] == kTagLevel) set(from);
        if ((bits[from / 64] >> (from % 64) & 1) == 0) return true;
        for (size_t at = 0; at < value.size(); at += sizeof(NodeId)) {
          NodeId to = 0;
          std::memcpy(&to, value.data() + at, sizeof(to));
          set(to);
        }
        return true;
      });
  RECLAIM_CHECK(scanned.ok(), "the database of the measurement is read");
  return bits;
}

}  // namespace reclaim::benchmark

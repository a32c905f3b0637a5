#include "index/scan_prints.h"

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "reclaim/storage/v1/storage.pb.h"

namespace reclaim::index {
namespace {

using store::SectionKind;

constexpr uint64_t kYieldInterval = 4096;

struct Member {
  NodeId content = kNoNode;
  store::MembershipKind kind = store::MembershipKind::kRevision;
  absl::Time linked;
};

// splitmix64: prints are stored, so they must not depend on the process.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

uint64_t NumberOf(absl::string_view text) {
  uint64_t hash = text.size();
  for (const char c : text) hash = Mix(hash ^ static_cast<unsigned char>(c));
  return hash;
}

// The bytes of a digest are uniform: eight of them suffice.
uint64_t NumberOf(const oci::Digest& digest) {
  uint64_t number = 0;
  if (!digest.empty()) {
    std::memcpy(&number, digest.bytes().data(), sizeof(number));
  }
  return number;
}

uint64_t NumberOf(absl::Time time) {
  return static_cast<uint64_t>(absl::ToUnixMicros(time));
}

uint64_t NumberOf(const store::Bytes& bytes) {
  return Mix(bytes.logical_bytes) ^ bytes.allocated_bytes;
}

}  // namespace

void SectionPrints::AddBlob(const store::Place& place,
                            const oci::Digest& digest,
                            const store::Bytes& bytes) {
  const int shard =
      has_shards_ ? static_cast<unsigned char>(digest.bytes()[0]) : -1;
  Add(store::SectionKey(SectionKind::kBlobs, place, shard),
      Mix(NumberOf(digest) ^ NumberOf(bytes)));
}

void SectionPrints::AddTag(const std::string& repository,
                           const std::string& tag, const oci::Digest& digest,
                           absl::Time pushed) {
  Add(store::SectionKey(SectionKind::kTags, repository, -1),
      Mix(NumberOf(tag) ^ Mix(NumberOf(digest) ^ Mix(NumberOf(pushed)))));
}

void SectionPrints::AddMember(const std::string& repository,
                              const oci::Digest& digest,
                              store::MembershipKind kind, absl::Time linked) {
  Add(store::SectionKey(kind == store::MembershipKind::kRevision
                            ? SectionKind::kRevisions
                            : SectionKind::kLayerLinks,
                        repository, -1),
      Mix(NumberOf(digest) ^ Mix(NumberOf(linked))));
}

void SectionPrints::AddUpload(const std::string& repository,
                              const std::string& id, const store::Bytes& bytes,
                              absl::Time started) {
  Add(store::SectionKey(SectionKind::kUploads, repository, -1),
      Mix(NumberOf(id) ^ Mix(NumberOf(bytes) ^ Mix(NumberOf(started)))));
}

void SectionPrints::AddFacts(const store::ScanBatch& batch) {
  for (const store::BlobFact& fact : batch.blobs) {
    AddBlob(fact.place, fact.digest, fact.stat.bytes);
  }
  for (const store::TagFact& fact : batch.tags) {
    AddTag(fact.repository, fact.tag, fact.digest, fact.modified);
  }
  for (const store::MembershipFact& fact : batch.memberships) {
    AddMember(fact.repository, fact.digest, fact.kind, fact.modified);
  }
  for (const store::UploadFact& fact : batch.uploads) {
    AddUpload(fact.repository, fact.upload_id, fact.bytes, fact.started);
  }
}

uint64_t SectionPrints::Of(uint64_t section) const {
  const auto it = prints_.find(section);
  return it == prints_.end() ? 0 : it->second;
}

SectionPrints PrintsOf(const ReferenceGraph& graph, const StoreRecord& store) {
  SectionPrints prints(store.kind);
  const std::unique_ptr<GraphReader> reader = graph.Read();
  const GraphView& view = reader->view();
  uint64_t step = 0;
  const auto pause = [&] {
    if (++step % kYieldInterval == 0) view.Yield();
  };
  for (NodeId id = 0; id < view.node_count(); ++id) {
    pause();
    if (!view.Exists(id)) continue;
    const NodeFields fields = view.fields(id);
    if (fields.store != store.id) continue;
    if (IsContent(fields.kind)) {
      if (fields.kind == NodeKind::kExtent ||
          fields.state != NodeState::kPresent) {
        continue;
      }
      prints.AddBlob(view.PlaceName(fields.place), view.digest(id),
                     fields.bytes);
      continue;
    }
    const NamedKey key = view.named_key(id);
    if (fields.kind == NodeKind::kTag) {
      const absl::Span<const NodeId> targets = view.Kept(id);
      prints.AddTag(key.scope, key.name,
                    targets.empty() ? oci::Digest() : view.digest(targets[0]),
                    fields.recorded);
    } else if (fields.kind == NodeKind::kUpload) {
      prints.AddUpload(key.scope, key.name, fields.bytes, fields.recorded);
    } else if (fields.kind == NodeKind::kRepository) {
      // Listed before their digests are read, each of which is in a file.
      std::vector<Member> members;
      view.ForEachMember(id, [&](NodeId content, store::MembershipKind kind,
                                 absl::Time linked) {
        members.push_back({content, kind, linked});
        return true;
      });
      for (const Member& member : members) {
        pause();
        prints.AddMember(key.name, view.digest(member.content), member.kind,
                         member.linked);
      }
    }
  }
  return prints;
}

std::string SerializeScanMemory(const ScanMemory& memory) {
  storage::v1::ScanMemory record;
  record.set_store_memo(memory.store_memo);
  for (const auto& [section, print] : std::map<uint64_t, uint64_t>(
           memory.prints.begin(), memory.prints.end())) {
    record.add_sections(section);
    record.add_prints(print);
  }
  return record.SerializeAsString();
}

ScanMemory ParseScanMemory(absl::string_view bytes) {
  storage::v1::ScanMemory record;
  ScanMemory memory;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      record.sections_size() != record.prints_size()) {
    return memory;
  }
  memory.store_memo = record.store_memo();
  for (int i = 0; i < record.sections_size(); ++i) {
    memory.prints[record.sections(i)] = record.prints(i);
  }
  return memory;
}

absl::flat_hash_set<uint64_t> ChangedSections(const ScanMemory& memory,
                                              const SectionPrints& graph) {
  absl::flat_hash_set<uint64_t> changed;
  for (const auto& [section, print] : memory.prints) {
    if (graph.Of(section) != print) changed.insert(section);
  }
  return changed;
}

}  // namespace reclaim::index

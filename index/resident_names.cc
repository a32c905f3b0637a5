// How the resident graph finds nodes by name, and what lies beside them.

#include <array>
#include <cstring>
#include <optional>
#include <string>

#include "absl/hash/hash.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "index/resident_graph.h"

namespace reclaim::index {
namespace {

constexpr size_t kTailSize = 32;  // of a digest that is twice as long

// Of all bytes: a manifest may name digests that nobody has computed, thousands
// of them alike but for the last bytes.
uint32_t HashOf(PlaceId place, const oci::Digest& digest) {
  return static_cast<uint32_t>(absl::HashOf(place, digest.bytes()));
}

uint32_t HashOf(const NameLabel& label) {
  return static_cast<uint32_t>(
      absl::HashOf(label.scope, label.name, label.store, label.kind));
}

// `tail` may be null.
oci::Digest Join(oci::DigestAlgorithm algorithm,
                 const DigestShelf::Bytes& first,
                 const std::array<char, kTailSize>* tail) {
  std::array<char, oci::Digest::kSizeMax> bytes;
  std::memcpy(bytes.data(), first.data(), first.size());
  size_t size = first.size();
  if (tail != nullptr) {
    std::memcpy(bytes.data() + size, tail->data(), tail->size());
    size += tail->size();
  }
  const absl::StatusOr<oci::Digest> digest =
      oci::Digest::FromBytes(algorithm, absl::string_view(bytes.data(), size));
  RECLAIM_CHECK(digest.ok(), "what was a digest is one");
  return *digest;
}

bool IsSame(const NameLabel& a, const NameLabel& b) {
  return a.scope == b.scope && a.name == b.name && a.store == b.store &&
         a.kind == b.kind;
}

}  // namespace

bool ResidentGraph::NameLess::operator()(NodeId a, NodeId b) const {
  const NameLabel& one = graph->NameOf(a);
  const NameLabel& other = graph->NameOf(b);
  if (one.scope != other.scope) {
    return graph->words_[one.scope] < graph->words_[other.scope];
  }
  if (one.name == other.name) return false;
  return graph->words_[one.name] < graph->words_[other.name];
}

bool ResidentGraph::NameLess::operator()(NodeId a, const ScopeBegin& b) const {
  return graph->words_[graph->NameOf(a).scope] < graph->words_[b.scope];
}

bool ResidentGraph::NameLess::operator()(const ScopeBegin& a, NodeId b) const {
  return graph->words_[a.scope] < graph->words_[graph->NameOf(b).scope];
}

void ResidentGraph::ShelveDigest(NodeId id, const ContentKey& key) {
  const absl::string_view bytes = key.digest.bytes();
  RECLAIM_CHECK(bytes.size() >= DigestShelf::kSize, "content has a digest");
  nodes_[id].set_algorithm(key.digest.algorithm());
  labels_[id] = HashOf(key.place, key.digest);
  digests_.Put(id, bytes.data());
  if (bytes.size() > DigestShelf::kSize) {
    std::memcpy(digest_tails_[id].data(), bytes.data() + DigestShelf::kSize,
                bytes.size() - DigestShelf::kSize);
  }
}

void ResidentGraph::AddDigest(NodeId id, const ContentKey& key) {
  const NodeId old = FindContent(key.place, key.digest);
  if (old != kNoNode) RemoveDigest(old);
  ShelveDigest(id, key);
  content_ids_.Insert(labels_[id], id,
                      [this](NodeId one) { return labels_[one]; });
}

void ResidentGraph::RemoveDigest(NodeId id) {
  content_ids_.Erase(labels_[id], id,
                     [this](NodeId one) { return labels_[one]; });
}

NodeId ResidentGraph::FindContent(PlaceId place,
                                  const oci::Digest& digest) const {
  if (digest.empty()) return kNoNode;
  const uint32_t hash = HashOf(place, digest);
  return content_ids_.Find(hash, [&](NodeId id) {
    return labels_[id] == hash && PlaceOf(nodes_[id]) == place &&
           this->digest(id) == digest;
  });
}

oci::Digest ResidentGraph::digest(NodeId id) const {
  const oci::DigestAlgorithm algorithm = nodes_[id].algorithm();
  if (algorithm == oci::DigestAlgorithm::kNone) return {};
  const auto is_its_own = [&](const oci::Digest& digest) {
    return HashOf(PlaceOf(nodes_[id]), digest) == labels_[id];
  };
  DigestShelf::Bytes first;
  if (digests_.Get(id, &first)) {
    const bool has_tail = algorithm == oci::DigestAlgorithm::kSha512;
    const oci::Digest shelved = Join(
        algorithm, first, has_tail ? &digest_tails_.find(id)->second : nullptr);
    if (is_its_own(shelved)) return shelved;
  }
  // The disk failed, or gave what was never put: a page that could not be
  // written reads as zeros.  The record has a checksum.
  oci::Digest recorded;
  if (digest_source_) recorded = digest_source_(id);
  RECLAIM_CHECK(!recorded.empty() && is_its_own(recorded),
                "what is not known apart would be deleted for another");
  return recorded;
}

NodeId ResidentGraph::FindName(const NameLabel& label) const {
  return named_ids_.Find(HashOf(label),
                         [&](NodeId id) { return IsSame(NameOf(id), label); });
}

void ResidentGraph::AddName(NodeId id, const NamedKey& key) {
  const NameLabel label = {words_.Add(key.scope), words_.Add(key.name),
                           key.store, key.kind};
  NameOrder& order =
      order_.try_emplace({key.kind, key.store}, NameLess{this}).first->second;
  const NodeId old = FindName(label);
  if (old != kNoNode) RemoveName(old);
  if (labels_[id] == 0) {
    labels_[id] = static_cast<uint32_t>(names_.size());
    names_.Grow(labels_[id] + 1);
  }
  names_[labels_[id]] = label;
  named_ids_.Insert(HashOf(label), id,
                    [this](NodeId one) { return HashOf(NameOf(one)); });
  order.insert(id);
}

void ResidentGraph::RemoveName(NodeId id) {
  const NameLabel& label = NameOf(id);
  if (FindName(label) != id) return;
  named_ids_.Erase(HashOf(label), id,
                   [this](NodeId one) { return HashOf(NameOf(one)); });
  order_.find({label.kind, label.store})->second.erase(id);
}

NodeId ResidentGraph::FindNamed(const NamedKey& key) const {
  const std::optional<uint32_t> scope = words_.Find(key.scope);
  const std::optional<uint32_t> name = words_.Find(key.name);
  if (!scope || !name) return kNoNode;
  return FindName({*scope, *name, key.store, key.kind});
}

NamedKey ResidentGraph::named_key(NodeId id) const {
  const NameLabel& label = NameOf(id);
  return {label.kind, label.store, std::string(words_[label.scope]),
          std::string(words_[label.name])};
}

void ResidentGraph::SetHome(Node* node, StoreId store, PlaceId place,
                            Epoch stamp) {
  const uint32_t before = node->home;
  const Home& old = homes_[before];
  if (old.store == store && old.place == place && old.stamp == stamp) return;
  const auto [it, is_new] = home_ids_.try_emplace(
      HomeKey(store, place, stamp), static_cast<uint32_t>(homes_.size()));
  if (is_new && free_homes_.empty()) {
    homes_.push_back({store, place, stamp, 0});
  } else if (is_new) {
    it->second = free_homes_.back();
    free_homes_.pop_back();
    homes_[it->second] = {store, place, stamp, 0};
  }
  node->home = it->second;
  ++homes_[node->home].node_count;
  if (before == 0) return;
  Home& left = homes_[before];
  if (--left.node_count > 0) return;
  home_ids_.erase(HomeKey(left.store, left.place, left.stamp));
  free_homes_.push_back(before);
}

store::Bytes ResidentGraph::BytesOf(NodeId id) const {
  const std::optional<store::Bytes> bytes = nodes_[id].bytes();
  return bytes ? *bytes : odd_bytes_.find(id)->second;
}

void ResidentGraph::SetBytes(NodeId id, const store::Bytes& bytes) {
  if (nodes_[id].set_bytes(bytes)) {
    if (!odd_bytes_.empty()) odd_bytes_.erase(id);
  } else {
    odd_bytes_[id] = bytes;
  }
}

void ResidentGraph::SetUsed(NodeId id, absl::Time used) {
  const bool has_use = used != absl::InfinitePast();
  if (has_use) {
    uses_[id] = ToPackedMicros(used);
  } else if (nodes_[id].has_use()) {
    uses_.erase(id);
  }
  nodes_[id].set_has_use(has_use);
}

absl::Time ResidentGraph::ExpiryOf(NodeId id) const {
  if (expiries_of_.empty()) return absl::InfiniteFuture();
  const auto it = expiries_of_.find(id);
  return it == expiries_of_.end() ? absl::InfiniteFuture() : it->second;
}

void ResidentGraph::SetExpiry(NodeId id, absl::Time expires) {
  if (expires == absl::InfiniteFuture()) {
    expiries_of_.erase(id);
  } else {
    expiries_of_[id] = expires;
  }
}

}  // namespace reclaim::index

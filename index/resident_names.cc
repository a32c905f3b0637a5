// How the resident graph finds nodes by name, and what lies beside them.

#include <array>
#include <cstring>
#include <optional>

#include "absl/hash/hash.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "index/resident_graph.h"

namespace reclaim::index {
namespace {

constexpr size_t kLabelSize = 32;

// The bytes of a digest are uniform: eight of them suffice.
size_t HashOfDigest(PlaceId place, const char* bytes) {
  uint64_t prefix = 0;
  std::memcpy(&prefix, bytes, sizeof(prefix));
  return absl::HashOf(place, prefix);
}

}  // namespace

size_t ResidentGraph::ContentHash::operator()(NodeId id) const {
  return HashOfDigest(graph->PlaceOf(graph->nodes_[id]),
                      graph->labels_[id].digest.data());
}

size_t ResidentGraph::ContentHash::operator()(const ContentRef& key) const {
  return HashOfDigest(key.place, key.digest->bytes().data());
}

bool ResidentGraph::ContentEqual::operator()(NodeId id,
                                             const ContentRef& key) const {
  const Node& node = graph->nodes_[id];
  const absl::string_view bytes = key.digest->bytes();
  if (graph->PlaceOf(node) != key.place ||
      node.algorithm() != key.digest->algorithm() ||
      std::memcmp(graph->labels_[id].digest.data(), bytes.data(), kLabelSize) !=
          0) {
    return false;
  }
  return bytes.size() == kLabelSize ||
         std::memcmp(graph->digest_tails_.find(id)->second.data(),
                     bytes.data() + kLabelSize, bytes.size() - kLabelSize) == 0;
}

size_t ResidentGraph::NameHash::operator()(const NodeLabel& label) const {
  return absl::HashOf(label.named.scope, label.named.name, label.named.store,
                      label.named.kind);
}

size_t ResidentGraph::NameHash::operator()(NodeId id) const {
  return (*this)(graph->labels_[id]);
}

bool ResidentGraph::NameEqual::operator()(NodeId id,
                                          const NodeLabel& label) const {
  const auto& a = graph->labels_[id].named;
  const auto& b = label.named;
  return a.scope == b.scope && a.name == b.name && a.store == b.store &&
         a.kind == b.kind;
}

bool ResidentGraph::NameLess::operator()(NodeId a, NodeId b) const {
  const auto& one = graph->labels_[a].named;
  const auto& other = graph->labels_[b].named;
  if (one.scope != other.scope) {
    return graph->words_[one.scope] < graph->words_[other.scope];
  }
  if (one.name == other.name) return false;
  return graph->words_[one.name] < graph->words_[other.name];
}

void ResidentGraph::AddDigest(NodeId id, const ContentKey& key) {
  const absl::string_view bytes = key.digest.bytes();
  RECLAIM_CHECK(bytes.size() >= kLabelSize, "content has a digest");
  const auto old = content_ids_.find(ContentRef{key.place, &key.digest});
  if (old != content_ids_.end()) content_ids_.erase(old);
  nodes_[id].set_algorithm(key.digest.algorithm());
  std::memcpy(labels_[id].digest.data(), bytes.data(), kLabelSize);
  if (bytes.size() > kLabelSize) {
    std::memcpy(digest_tails_[id].data(), bytes.data() + kLabelSize,
                bytes.size() - kLabelSize);
  }
  content_ids_.insert(id);
}

void ResidentGraph::RemoveDigest(NodeId id) {
  const auto it = content_ids_.find(id);
  if (it != content_ids_.end()) content_ids_.erase(it);
}

NodeId ResidentGraph::FindContent(PlaceId place,
                                  const oci::Digest& digest) const {
  if (digest.empty()) return kNoNode;
  const auto it = content_ids_.find(ContentRef{place, &digest});
  return it == content_ids_.end() ? kNoNode : *it;
}

oci::Digest ResidentGraph::digest(NodeId id) const {
  const oci::DigestAlgorithm algorithm = nodes_[id].algorithm();
  if (algorithm == oci::DigestAlgorithm::kNone) return {};
  std::array<char, oci::Digest::kSizeMax> bytes;
  std::memcpy(bytes.data(), labels_[id].digest.data(), kLabelSize);
  size_t size = kLabelSize;
  if (algorithm == oci::DigestAlgorithm::kSha512) {
    const auto& tail = digest_tails_.find(id)->second;
    std::memcpy(bytes.data() + kLabelSize, tail.data(), tail.size());
    size += tail.size();
  }
  const absl::StatusOr<oci::Digest> digest =
      oci::Digest::FromBytes(algorithm, absl::string_view(bytes.data(), size));
  RECLAIM_CHECK(digest.ok(), "what was a digest is one");
  return *digest;
}

void ResidentGraph::AddName(NodeId id, const NamedKey& key) {
  NodeLabel& label = labels_[id];
  label.named.scope = words_.Add(key.scope);
  label.named.name = words_.Add(key.name);
  label.named.store = key.store;
  label.named.kind = key.kind;
  NameOrder& order =
      order_.try_emplace({key.kind, key.store}, NameLess{this}).first->second;
  const auto old = named_ids_.find(label);
  if (old != named_ids_.end()) {
    order.erase(*old);
    named_ids_.erase(old);
  }
  named_ids_.insert(id);
  order.insert(id);
}

void ResidentGraph::RemoveName(NodeId id) {
  const auto it = named_ids_.find(labels_[id]);
  if (it == named_ids_.end() || *it != id) return;
  named_ids_.erase(it);
  const auto& label = labels_[id].named;
  order_.find({label.kind, label.store})->second.erase(id);
}

NodeId ResidentGraph::FindNamed(const NamedKey& key) const {
  const std::optional<uint32_t> scope = words_.Find(key.scope);
  const std::optional<uint32_t> name = words_.Find(key.name);
  if (!scope || !name) return kNoNode;
  NodeLabel label;
  label.named.scope = *scope;
  label.named.name = *name;
  label.named.store = key.store;
  label.named.kind = key.kind;
  const auto it = named_ids_.find(label);
  return it == named_ids_.end() ? kNoNode : *it;
}

NamedKey ResidentGraph::named_key(NodeId id) const {
  const auto& label = labels_[id].named;
  return {label.kind, label.store, words_[label.scope], words_[label.name]};
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

#include "rpc/subject.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "accounting/image_usage.h"
#include "base/status_macros.h"
#include "oci/digest.h"

namespace reclaim::rpc {
namespace {

using index::GraphView;
using index::kNoNode;
using index::NodeId;
using index::NodeKind;
using index::StoreId;

constexpr size_t kPrefixDigitsMin = 12;
constexpr NodeId kYieldInterval = 4096;
constexpr size_t kNamedCandidateMax = 5;

absl::Status NoSuch(absl::string_view text) {
  return absl::NotFoundError(absl::StrCat(
      "nothing is called \"", absl::CHexEscape(text),
      "\"; `reclaim image ls --digests` lists images, and container/NAME, "
      "volume/NAME, ... name the rest"));
}

absl::StatusOr<NodeId> OnlyOne(const GraphView& view, absl::string_view text,
                               std::vector<NodeId> found) {
  if (found.empty()) return NoSuch(text);
  if (found.size() == 1) return found[0];
  std::vector<std::string> names;
  for (const NodeId id : found) {
    if (names.size() == kNamedCandidateMax) break;
    if (!IsContent(view.kind(id))) {
      const index::NamedKey key = view.named_key(id);
      names.push_back(absl::StrCat(index::ToString(key.kind), "/", key.scope,
                                   key.scope.empty() ? "" : ":", key.name));
      continue;
    }
    const store::Place place = view.PlaceName(view.fields(id).place);
    names.push_back(absl::StrCat(view.digest(id).ToString(),
                                 place.empty() ? "" : " in place ", place));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", absl::CHexEscape(text), "\" may mean ", found.size(),
      " things: ", absl::StrJoin(names, ", "), "; say more of it"));
}

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

bool IsIn(const GraphView& view, NodeId id, StoreId store,
          const store::Place& place) {
  const index::NodeFields fields = view.fields(id);
  return fields.store == store &&
         (place.empty() || view.PlaceName(fields.place) == place);
}

// Every content node of the store whose digest `wants` accepts.
template <typename Wants>
std::vector<NodeId> FindContent(const GraphView& view, StoreId store,
                                const store::Place& place, Wants wants) {
  std::vector<NodeId> found;
  for (NodeId id = 0; id < view.node_count(); ++id) {
    if (id % kYieldInterval == kYieldInterval - 1) view.Yield();
    if (!view.Exists(id) || !IsContent(view.kind(id)) ||
        view.kind(id) == NodeKind::kExtent) {
      continue;
    }
    if (wants(view.digest(id)) && IsIn(view, id, store, place)) {
      found.push_back(id);
    }
  }
  return found;
}

std::vector<NodeId> FindByDigest(const GraphView& view, StoreId store,
                                 const store::Place& place,
                                 const oci::Digest& digest) {
  const NodeId id = view.FindContent(view.FindPlace(store, place), digest);
  if (id != kNoNode) return {id};
  return FindContent(view, store, place,
                     [&](const oci::Digest& other) { return other == digest; });
}

struct KindWord {
  const char* word;
  NodeKind kind;
};
constexpr KindWord kKindWords[] = {
    {"container", NodeKind::kContainer},
    {"snapshot", NodeKind::kSnapshot},
    {"volume", NodeKind::kVolume},
    {"network", NodeKind::kNetwork},
    {"build-cache", NodeKind::kBuildCache},
    {"lease", NodeKind::kLease},
    {"pin", NodeKind::kPin},
    {"upload", NodeKind::kUpload},
    {"repository", NodeKind::kRepository},
    {"tag", NodeKind::kTag},
};

NodeId FindByKind(const GraphView& view, StoreId store,
                  absl::string_view text) {
  const size_t slash = text.find('/');
  if (slash == absl::string_view::npos) return kNoNode;
  const absl::string_view word = text.substr(0, slash);
  const std::string name(text.substr(slash + 1));
  for (const KindWord& entry : kKindWords) {
    if (word != entry.word) continue;
    std::string scope;
    std::string own = name;
    const size_t cut = entry.kind == NodeKind::kUpload ? name.rfind('/')
                       : entry.kind == NodeKind::kTag  ? name.rfind(':')
                                                       : std::string::npos;
    if (cut != std::string::npos) {
      scope = name.substr(0, cut);
      own = name.substr(cut + 1);
    }
    return view.FindNamed({entry.kind, store, scope, own});
  }
  return kNoNode;
}

// "repo:tag" at any colon, for image layouts spell names as they like.
NodeId FindTag(const GraphView& view, StoreId store, const std::string& text) {
  for (size_t at = text.find(':'); at != std::string::npos;
       at = text.find(':', at + 1)) {
    const NodeId tag = view.FindNamed(
        {NodeKind::kTag, store, text.substr(0, at), text.substr(at + 1)});
    if (tag != kNoNode) return tag;
  }
  return kNoNode;
}

// The name of an entry of an image layout, without its repository.
std::vector<NodeId> FindBareTag(const GraphView& view, StoreId store,
                                const std::string& text) {
  std::vector<NodeId> found;
  view.ForEachNamed(NodeKind::kTag, store, [&](NodeId tag) {
    if (view.named_key(tag).name == text) found.push_back(tag);
    return true;
  });
  return found;
}

absl::StatusOr<NodeId> FindInRepository(const GraphView& view, StoreId store,
                                        absl::string_view text, size_t at) {
  const std::string repository(text.substr(0, at));
  RECLAIM_ASSIGN_OR_RETURN(const oci::Digest digest,
                           oci::Digest::Parse(text.substr(at + 1)));
  // "repo:tag@digest" is the digest in repo.
  NodeId owner = view.FindNamed({NodeKind::kRepository, store, "", repository});
  if (owner == kNoNode) {
    owner = view.FindNamed({NodeKind::kRepository, store, "",
                            repository.substr(0, repository.rfind(':'))});
  }
  if (owner == kNoNode) return NoSuch(text);
  const NodeId id = view.FindContent(view.fields(owner).place, digest);
  if (id == kNoNode) return NoSuch(text);
  return id;
}

// The images that a config belongs to, as `image ls` lists them.
void AddImagesOf(const GraphView& view, NodeId config,
                 std::vector<NodeId>* images) {
  std::vector<NodeId> stack = {config};
  std::set<NodeId> seen;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    view.ForEachKeeper(id, [&](NodeId keeper) {
      const bool is_manifest = IsManifestLike(view.kind(keeper)) &&
                               view.state(keeper) == index::NodeState::kPresent;
      if (!is_manifest || !seen.insert(keeper).second) return true;
      if (accounting::IsListedImage(view, keeper)) {
        images->push_back(keeper);
      } else {
        stack.push_back(keeper);
      }
      return true;
    });
  }
}

std::vector<NodeId> FindByWholeOrShortDigest(const GraphView& view,
                                             StoreId store,
                                             absl::string_view text) {
  if (const auto digest = oci::Digest::Parse(text); digest.ok()) {
    return FindByDigest(view, store, "", *digest);
  }
  absl::ConsumePrefix(&text, "sha256:");
  if (text.size() < kPrefixDigitsMin || !IsHex(text)) return {};
  return FindContent(view, store, "", [&](const oci::Digest& digest) {
    return absl::StartsWith(digest.hex(), text);
  });
}

}  // namespace

absl::StatusOr<std::string> WholeDigest(const GraphView& view, StoreId store,
                                        const std::string& text) {
  const bool is_name =
      FindTag(view, store, text) != kNoNode ||
      view.FindNamed({NodeKind::kRepository, store, "", text}) != kNoNode;
  if (is_name) return text;
  std::vector<NodeId> meant;
  for (const NodeId id : FindByWholeOrShortDigest(view, store, text)) {
    const size_t before = meant.size();
    if (view.kind(id) == NodeKind::kConfig) AddImagesOf(view, id, &meant);
    if (meant.size() == before) meant.push_back(id);
  }
  if (meant.empty()) return text;
  // The same content may be in several places.
  const oci::Digest digest = view.digest(meant[0]);
  for (const NodeId id : meant) {
    if (view.digest(id) == digest) continue;
    return OnlyOne(view, text, std::move(meant)).status();
  }
  return digest.ToString();
}

absl::StatusOr<NodeId> FindSubject(const GraphView& view, StoreId store,
                                   const store::Place& place,
                                   absl::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError("subject: is empty");
  if (const auto digest = oci::Digest::Parse(text); digest.ok()) {
    return OnlyOne(view, text, FindByDigest(view, store, place, *digest));
  }
  const std::string words(text);
  if (const NodeId tag = FindTag(view, store, words); tag != kNoNode) {
    return tag;
  }
  if (const NodeId repository =
          view.FindNamed({NodeKind::kRepository, store, "", words});
      repository != kNoNode) {
    return repository;
  }
  if (const NodeId named = FindByKind(view, store, text); named != kNoNode) {
    return named;
  }
  if (const size_t at = text.rfind('@'); at != absl::string_view::npos) {
    return FindInRepository(view, store, text, at);
  }
  std::vector<NodeId> bare = FindBareTag(view, store, words);
  if (!bare.empty()) return OnlyOne(view, text, std::move(bare));
  // "sha256:abc…" or "abc…", cut short.
  const size_t colon = text.find(':');
  const absl::string_view digits =
      colon == absl::string_view::npos ? text : text.substr(colon + 1);
  if (digits.size() >= kPrefixDigitsMin && IsHex(digits)) {
    return OnlyOne(view, text,
                   FindContent(view, store, place, [&](const oci::Digest& d) {
                     return absl::StartsWith(d.hex(), digits);
                   }));
  }
  return NoSuch(text);
}

absl::StatusOr<NodeId> FindImage(const GraphView& view, StoreId store,
                                 absl::string_view text) {
  RECLAIM_ASSIGN_OR_RETURN(const NodeId id, FindSubject(view, store, "", text));
  if (IsContent(view.kind(id))) return id;
  const auto kept = view.Kept(id);
  if (view.kind(id) == NodeKind::kTag && !kept.empty()) return kept[0];
  return absl::FailedPreconditionError(absl::StrCat(
      "\"", absl::CHexEscape(text), "\" is a ", index::ToString(view.kind(id)),
      ", not an image; name repo:tag or a "
      "digest"));
}

}  // namespace reclaim::rpc

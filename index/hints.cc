#include "index/hints.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/graph_scan.h"

namespace reclaim::index {
namespace {

using store::MembershipKind;

// A writer waits for one mutation at most (I10).
constexpr size_t kTouchesPerMutation = 256;
constexpr MembershipKind kLinkKinds[] = {MembershipKind::kRevision,
                                         MembershipKind::kLayer};

using TagName = std::pair<std::string, std::string>;
using LinkName = std::pair<std::string, oci::Digest>;

class HintReader {
 public:
  HintReader(ReferenceGraph* graph, StoreRecord record,
             const store::ContentStore* store, absl::Time now,
             absl::string_view actor)
      : graph_(graph), record_(std::move(record)), store_(store), now_(now) {
    options_.actor = std::string(actor);
    options_.durability = Durability::kDurable;
  }

  absl::StatusOr<std::vector<Hint>> Follow(absl::Span<const Hint> hints);

 private:
  using BlobNames = std::set<std::pair<store::Place, oci::Digest>>;

  void Collect(absl::Span<const Hint> hints);
  void CollectTagsOn(const LinkName& link);
  absl::Status LookUpRepositories();
  absl::Status LookUpTags();
  absl::Status LookUpLinks();
  absl::Status AddBlob(const store::Place& place, const oci::Digest& digest);
  absl::Status AddMissingParts();
  BlobNames AbsentParts() const;
  absl::Status PutFacts();
  absl::Status Remove();
  absl::Status Touch(absl::Span<const Hint> hints);
  absl::Status ApplyTouches(absl::Span<const index::Touch> touches);
  std::vector<index::Touch> TouchesOf(const Hint& hint) const;
  bool IsNewToGraph(const Hint& pull) const;
  std::vector<Hint> Unsettled(absl::Span<const Hint> hints) const;
  store::Place PlaceOf(const std::string& repository) const;

  ReferenceGraph* graph_;
  const StoreRecord record_;
  const store::ContentStore* store_;
  const absl::Time now_;
  ScanOptions options_;

  std::map<std::string, store::Place> repositories_;
  std::set<TagName> tags_;
  std::map<LinkName, std::string> links_;  // with the media type
  // What the store has said.
  std::map<TagName, oci::Digest> found_tags_;
  store::ScanBatch facts_;
  BlobNames asked_blobs_;
  std::vector<Operation> gone_;
};

// A repository that the store has forgotten goes with its names; its place is
// what the graph remembers.
store::Place HintReader::PlaceOf(const std::string& repository) const {
  const auto found = repositories_.find(repository);
  return found == repositories_.end() ? "" : found->second;
}

// Whoever deletes a manifest deletes the tags on it as well, without a word.
void HintReader::CollectTagsOn(const LinkName& link) {
  const auto reader = graph_->Read();
  const GraphView& view = reader->view();
  const PlaceId place = view.FindPlace(record_.id, PlaceOf(link.first));
  const NodeId id =
      place == kNoPlace ? kNoNode : view.FindContent(place, link.second);
  if (id == kNoNode) return;
  view.ForEachKeeper(id, [&](NodeId keeper) {
    if (!view.Exists(keeper) || view.kind(keeper) != NodeKind::kTag) {
      return true;
    }
    const NamedKey key = view.named_key(keeper);
    if (key.scope == link.first) tags_.insert({key.scope, key.name});
    return true;
  });
}

void HintReader::Collect(absl::Span<const Hint> hints) {
  for (const Hint& hint : hints) {
    if (hint.pulled) continue;
    repositories_.try_emplace(hint.repository);
    if (!hint.tag.empty()) tags_.insert({hint.repository, hint.tag});
    if (!hint.digest) continue;
    std::string& media_type = links_[{hint.repository, *hint.digest}];
    if (!hint.media_type.empty()) media_type = hint.media_type;
  }
}

absl::Status HintReader::LookUpRepositories() {
  for (auto& [repository, place] : repositories_) {
    RECLAIM_ASSIGN_OR_RETURN(std::optional<store::RepositoryFact> fact,
                             store_->names()->FindRepository(repository));
    if (!fact) continue;
    place = fact->place;
    facts_.repositories.push_back(*std::move(fact));
  }
  return absl::OkStatus();
}

absl::Status HintReader::LookUpTags() {
  for (const TagName& name : tags_) {
    RECLAIM_ASSIGN_OR_RETURN(std::optional<store::TagFact> fact,
                             store_->names()->FindTag(name.first, name.second));
    if (!fact) {
      gone_.push_back(RemoveTag{record_.name, name.first, name.second});
      continue;
    }
    found_tags_.emplace(name, fact->digest);
    links_.try_emplace({name.first, fact->digest});
    const auto link = links_.find({name.first, fact->digest});
    fact->media_type = link->second;
    facts_.tags.push_back(*std::move(fact));
  }
  return absl::OkStatus();
}

absl::Status HintReader::LookUpLinks() {
  for (const auto& [link, media_type] : links_) {
    for (const MembershipKind kind : kLinkKinds) {
      RECLAIM_ASSIGN_OR_RETURN(
          std::optional<store::MembershipFact> fact,
          store_->names()->FindLink(link.first, link.second, kind));
      if (!fact) {
        gone_.push_back(
            RemoveMembership{record_.name, link.first, link.second, kind});
        continue;
      }
      fact->media_type = media_type;
      facts_.memberships.push_back(*std::move(fact));
    }
    RECLAIM_RETURN_IF_ERROR(AddBlob(PlaceOf(link.first), link.second));
  }
  return absl::OkStatus();
}

absl::Status HintReader::AddBlob(const store::Place& place,
                                 const oci::Digest& digest) {
  if (!asked_blobs_.insert({place, digest}).second) return absl::OkStatus();
  absl::StatusOr<store::BlobStat> stat = store_->Stat(place, digest);
  if (absl::IsNotFound(stat.status())) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(stat.status());
  facts_.blobs.push_back({place, digest, *std::move(stat)});
  return absl::OkStatus();
}

absl::Status HintReader::PutFacts() {
  // No epoch of its own: the store was asked after all that is in the graph.
  GraphScan scan(graph_, record_, store_, &options_,
                 std::numeric_limits<Epoch>::max());
  return scan.Accept(std::exchange(facts_, {}));
}

// Parts whose own hints were lost: what a manifest that came in leads to and
// the graph takes for absent.
absl::Status HintReader::AddMissingParts() {
  for (const auto& [place, digest] : AbsentParts()) {
    RECLAIM_RETURN_IF_ERROR(AddBlob(place, digest));
  }
  return facts_.blobs.empty() ? absl::OkStatus() : PutFacts();
}

HintReader::BlobNames HintReader::AbsentParts() const {
  BlobNames absent;
  const auto reader = graph_->Read();
  const GraphView& view = reader->view();
  std::vector<NodeId> stack;
  for (const auto& [link, media_type] : links_) {
    const PlaceId place = view.FindPlace(record_.id, PlaceOf(link.first));
    if (place == kNoPlace) continue;
    const NodeId id = view.FindContent(place, link.second);
    if (id != kNoNode) stack.push_back(id);
  }
  absl::flat_hash_set<NodeId> seen(stack.begin(), stack.end());
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    for (const NodeId child : view.Kept(id)) {
      if (seen.insert(child).second) stack.push_back(child);
    }
    if (view.state(id) != NodeState::kAbsent) continue;
    absent.insert({view.PlaceName(view.fields(id).place), view.digest(id)});
  }
  return absent;
}

absl::Status HintReader::Remove() {
  if (gone_.empty()) return absl::OkStatus();
  Mutation mutation;
  mutation.actor = options_.actor;
  mutation.operations = std::move(gone_);
  return graph_->Apply(mutation, Durability::kDurable).status();
}

// Of what the graph knows: the tag with its image, or else the content.
std::vector<index::Touch> HintReader::TouchesOf(const Hint& hint) const {
  const auto reader = graph_->Read();
  const GraphView& view = reader->view();
  index::Touch touch;
  touch.use = UseKind::kPulled;
  touch.time = std::min(*hint.pulled, now_);
  std::vector<index::Touch> touches;
  const NodeId tag = hint.tag.empty()
                         ? kNoNode
                         : view.FindNamed({NodeKind::kTag, record_.id,
                                           hint.repository, hint.tag});
  const NodeId repository =
      view.FindNamed({NodeKind::kRepository, record_.id, "", hint.repository});
  const PlaceId place =
      repository == kNoNode ? kNoPlace : view.fields(repository).place;
  const NodeId content = place == kNoPlace || !hint.digest
                             ? kNoNode
                             : view.FindContent(place, *hint.digest);
  touch.name.store = record_.name;
  if (content != kNoNode) {
    touch.name.place = view.PlaceName(place);
    touch.name.digest = *hint.digest;
    touches.push_back(touch);
  }
  if (tag != kNoNode) {
    touch.repository = hint.repository;
    touch.tag = hint.tag;
    touches.push_back(touch);
  }
  return touches;
}

absl::Status HintReader::ApplyTouches(absl::Span<const index::Touch> touches) {
  Mutation mutation;
  mutation.actor = options_.actor;
  mutation.operations.assign(touches.begin(), touches.end());
  const absl::Status status =
      graph_->Apply(mutation, Durability::kDurable).status();
  if (!absl::IsNotFound(status)) return status;
  // Gone since it was looked up: nothing is left to renew, but of the others.
  for (size_t i = 0; touches.size() > 1 && i < touches.size(); ++i) {
    RECLAIM_RETURN_IF_ERROR(ApplyTouches(touches.subspan(i, 1)));
  }
  return absl::OkStatus();
}

// Many at once: a commit waits for the disk, and a registry does not wait for
// thousands of them.
absl::Status HintReader::Touch(absl::Span<const Hint> hints) {
  std::vector<index::Touch> touches;
  for (const Hint& hint : hints) {
    if (!hint.pulled) continue;
    for (index::Touch& touch : TouchesOf(hint)) {
      touches.push_back(std::move(touch));
    }
  }
  for (size_t i = 0; i < touches.size(); i += kTouchesPerMutation) {
    RECLAIM_RETURN_IF_ERROR(ApplyTouches(
        absl::MakeConstSpan(touches).subspan(i, kTouchesPerMutation)));
  }
  return absl::OkStatus();
}

// Whether somebody has been given what the graph knows nothing of here.
bool HintReader::IsNewToGraph(const Hint& pull) const {
  if (!pull.digest) return false;
  const auto reader = graph_->Read();
  const GraphView& view = reader->view();
  const NodeId repository =
      view.FindNamed({NodeKind::kRepository, record_.id, "", pull.repository});
  if (repository == kNoNode) return true;
  const NodeId content =
      view.FindContent(view.fields(repository).place, *pull.digest);
  if (content == kNoNode || view.state(content) != NodeState::kPresent) {
    return true;
  }
  return std::none_of(
      std::begin(kLinkKinds), std::end(kLinkKinds), [&](MembershipKind kind) {
        return view.LinkedAt(repository, content, kind).has_value();
      });
}

std::vector<Hint> HintReader::Unsettled(absl::Span<const Hint> hints) const {
  std::vector<Hint> unsettled;
  for (const Hint& hint : hints) {
    if (hint.pulled) {
      if (!IsNewToGraph(hint)) continue;
      unsettled.push_back(hint);
      unsettled.back().pulled.reset();
      continue;
    }
    if (hint.tag.empty() || !hint.digest) continue;
    const auto found = found_tags_.find({hint.repository, hint.tag});
    if (found == found_tags_.end() || found->second != *hint.digest) {
      unsettled.push_back(hint);
    }
  }
  return unsettled;
}

absl::StatusOr<std::vector<Hint>> HintReader::Follow(
    absl::Span<const Hint> hints) {
  Collect(hints);
  RECLAIM_RETURN_IF_ERROR(LookUpRepositories());
  for (const auto& [link, media_type] : links_) CollectTagsOn(link);
  RECLAIM_RETURN_IF_ERROR(LookUpTags());
  RECLAIM_RETURN_IF_ERROR(LookUpLinks());
  RECLAIM_RETURN_IF_ERROR(PutFacts());
  RECLAIM_RETURN_IF_ERROR(AddMissingParts());
  RECLAIM_RETURN_IF_ERROR(Remove());
  RECLAIM_RETURN_IF_ERROR(Touch(hints));
  return Unsettled(hints);
}

}  // namespace

absl::StatusOr<std::vector<Hint>> FollowHints(ReferenceGraph* graph,
                                              absl::string_view store_name,
                                              const store::ContentStore& store,
                                              absl::Span<const Hint> hints,
                                              absl::Time now,
                                              absl::string_view actor) {
  if (store.names() == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat("the store ", store_name,
                     " can only be scanned; hints about single names are for "
                     "registries"));
  }
  for (StoreRecord& record : graph->Stores()) {
    if (record.name != store_name) continue;
    return HintReader(graph, std::move(record), &store, now, actor)
        .Follow(hints);
  }
  return absl::NotFoundError(
      absl::StrCat("store \"", store_name, "\" is not registered"));
}

}  // namespace reclaim::index

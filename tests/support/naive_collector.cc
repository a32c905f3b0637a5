#include "tests/support/naive_collector.h"

#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "gc/filter.h"
#include "index/graph_view.h"
#include "index/mutation.h"

namespace reclaim::tests {
namespace {

using gc::PruneVerb;
using gc::TimeClock;
using index::kNoNode;
using index::NodeFields;
using index::NodeId;
using index::NodeKind;
using index::NodeState;
using store::MembershipKind;
using Nodes = NaiveReach::Nodes;

// What a filter looks at.
struct Facts {
  std::vector<index::Labels> labels;
  std::map<TimeClock, absl::Time> times;
};

bool Carries(const Facts& facts, const gc::LabelTest& test) {
  for (const index::Labels& labels : facts.labels) {
    for (const auto& [key, value] : labels) {
      if (key == test.key && value == test.value.value_or(value)) return true;
    }
  }
  return false;
}

// Every term holds; what has no such time stays.
bool Selects(const gc::Filter& filter, const Facts& facts) {
  for (const gc::LabelTest& test : filter.labels) {
    if (Carries(facts, test) == test.is_negative) return false;
  }
  for (const gc::TimeTest& test : filter.times) {
    if (facts.times.count(test.clock) == 0) return false;
    if (!(facts.times.at(test.clock) < test.before)) return false;
  }
  return true;
}

// "repo:tag" of what a user wrote; "" if that names no tag.
std::string TagThatIsWritten(const std::string& reference) {
  const size_t at = reference.find('@');
  std::string name = reference.substr(0, at);
  if (name.empty()) return "";
  if (name.find(':') == std::string::npos) {
    if (at != std::string::npos) return "";
    absl::StrAppend(&name, ":latest");
  }
  return std::string(absl::StripPrefix(name, "docker.io/library/"));
}

class NaiveCollector {
 public:
  NaiveCollector(const NaiveWorld& world, const gc::PruneRequest& request)
      : world_(world),
        request_(request),
        view_(world.graph->view()),
        reach_(view_, {0, TextGraph::Now(), request.policy.grace_period,
                       request.policy.upload_lifetime}) {}

  NaivePlan Run() {
    FindUnreadable();
    if (Concerns(PruneVerb::kContainers)) TakeContainers();
    if (Concerns(PruneVerb::kNetworks)) TakeNetworks();
    if (request_.verb == PruneVerb::kVolumes ||
        (IsSystem() && request_.with_volumes)) {
      TakeVolumes();
    }
    if (Concerns(PruneVerb::kBuildCache)) TakeBuildCache();
    const bool takes_images = IsSystem() ||
                              request_.verb == PruneVerb::kImages ||
                              request_.verb == PruneVerb::kAllImages;
    if (takes_images && !is_store_unreadable_) TakeImages();
    if (request_.verb == PruneVerb::kContainers) TakeSnapshots(nullptr);
    CountBytes();
    return plan_;
  }

 private:
  bool IsSystem() const { return request_.verb == PruneVerb::kSystem; }
  bool Concerns(PruneVerb verb) const {
    return request_.verb == verb || IsSystem();
  }
  bool DropsUnusedTags() const {
    return request_.verb == PruneVerb::kAllImages ||
           (IsSystem() && request_.all_images) ||
           request_.filter.dangling == false;
  }

  std::string NameOf(NodeId id) const { return world_.graph->Name(id); }
  Nodes AllOf(NodeKind kind) const {
    Nodes nodes;
    for (const NodeId id : reach_.all()) {
      if (view_.kind(id) == kind) nodes.insert(id);
    }
    return nodes;
  }
  bool IsPresentBlob(NodeId id) const {
    return reach_.IsBlob(id) && view_.state(id) == NodeState::kPresent;
  }

  // A repository that could not be read may name anything in its place, and a
  // scope that nobody knows may be anywhere.
  void FindUnreadable() {
    for (const std::string& scope : world_.unreadable_scopes) {
      index::PlaceId place = index::kNoPlace;
      for (const NodeId id : AllOf(NodeKind::kRepository)) {
        if (view_.named_key(id).name != scope) continue;
        unreadable_repositories_.insert(scope);
        place = view_.fields(id).place;
      }
      if (place == index::kNoPlace && !scope.empty()) {
        place = view_.FindPlace(0, scope);
      }
      if (place == index::kNoPlace) is_store_unreadable_ = true;
      unreadable_places_.insert(place);
    }
  }
  bool IsUnreadable(index::PlaceId place) const {
    return unreadable_places_.count(place) > 0;
  }
  bool IsPlaceKept(index::PlaceId place) const {
    return IsUnreadable(place) || reach_.IsPlaceInDoubt(place);
  }

  // Records.

  bool IsGone(NodeId id) const {
    return plan_.records.count(id) > 0 || plan_.tags.count(id) > 0;
  }
  // A lease that has ended keeps nothing.
  bool HasKeeper(NodeId id) const {
    for (const NodeId keeper : reach_.KeepersOf(id)) {
      const bool is_over = view_.kind(keeper) == NodeKind::kLease &&
                           view_.fields(keeper).expires < TextGraph::Now();
      if (!is_over && !IsGone(keeper)) return true;
    }
    return false;
  }
  // Where an engine holds the records: what lies in a place that is kept.
  bool IsRecordKept(NodeId id) const {
    if (!world_.store_holds_records) return false;
    const NodeKind kind = view_.kind(id);
    const bool has_place =
        kind == NodeKind::kContainer || kind == NodeKind::kSnapshot;
    return is_store_unreadable_ ||
           (has_place && IsPlaceKept(view_.fields(id).place));
  }
  Facts FactsOfRecord(NodeId id) const {
    const NodeFields fields = view_.fields(id);
    const std::string name = NameOf(id);
    const TextDetails& details = *world_.details;
    Facts facts;
    facts.labels.emplace_back();
    if (details.labels.count(name) > 0) {
      facts.labels.back() = details.labels.at(name);
    }
    facts.times[TimeClock::kRecorded] = fields.recorded;
    if (details.created.count(name) > 0) {
      facts.times[TimeClock::kRecorded] = details.created.at(name);
      facts.times[TimeClock::kCreated] = details.created.at(name);
    }
    if (details.exited.count(name) > 0) {
      facts.times[TimeClock::kExited] = details.exited.at(name);
    }
    return facts;
  }
  void TakeIfSelected(NodeId id) {
    if (Selects(request_.filter, FactsOfRecord(id))) plan_.records.insert(id);
  }

  void TakeContainers() {
    for (const NodeId id : AllOf(NodeKind::kContainer)) {
      const bool runs = (view_.fields(id).flags & index::kRunning) != 0;
      if (runs || IsRecordKept(id) || HasKeeper(id)) continue;
      TakeIfSelected(id);
    }
  }
  void TakeNetworks() {
    for (const NodeId id : AllOf(NodeKind::kNetwork)) {
      const uint16_t flags = view_.fields(id).flags;
      const bool is_predefined = (flags & index::kPredefined) != 0;
      if (is_predefined || IsRecordKept(id) || HasKeeper(id)) continue;
      TakeIfSelected(id);
    }
  }
  void TakeVolumes() {
    const bool takes_named =
        request_.all_volumes || request_.filter.all == true;
    for (const NodeId id : AllOf(NodeKind::kVolume)) {
      const uint16_t flags = view_.fields(id).flags;
      const bool is_named = (flags & index::kAnonymous) == 0;
      if (is_named && !takes_named) continue;
      if (!IsRecordKept(id) && !HasKeeper(id)) TakeIfSelected(id);
    }
  }

  bool IsCacheTaken(NodeId id) const {
    const NodeFields fields = view_.fields(id);
    const bool is_shared = (fields.flags & index::kShared) != 0;
    if ((fields.flags & index::kInUse) != 0 || IsRecordKept(id)) return false;
    if (is_shared && !request_.all_cache) return false;
    // It has no labels: who asks for some, or for none, does not mean it.
    if (!request_.filter.labels.empty() || HasKeeper(id)) return false;
    Facts facts;
    const bool was_used = fields.used != absl::InfinitePast();
    facts.times[TimeClock::kRecorded] =
        was_used ? fields.used : fields.recorded;
    if (was_used) facts.times[TimeClock::kUsed] = fields.used;
    return Selects(request_.filter, facts);
  }
  // One stays while another stands on it.
  void TakeBuildCache() {
    bool has_changed = true;
    while (has_changed) {
      has_changed = false;
      for (const NodeId id : AllOf(NodeKind::kBuildCache)) {
        if (IsGone(id) || !IsCacheTaken(id)) continue;
        plan_.records.insert(id);
        has_changed = true;
      }
    }
  }

  // With the images that it was unpacked from, or with what stood on it.
  // `live`: what stays; null if no image is judged.
  bool IsSnapshotTaken(NodeId id, const Nodes* live) const {
    if (reach_.IsYoung(view_.fields(id).recorded) || IsRecordKept(id) ||
        HasKeeper(id)) {
      return false;
    }
    bool has_image = false;
    for (const NodeId image : view_.Kept(id)) {
      if (!view_.Exists(image) || !IsContent(view_.kind(image))) continue;
      has_image = true;
      if (live == nullptr || live->count(image) > 0 ||
          IsPlaceKept(view_.fields(image).place)) {
        return false;
      }
    }
    const Nodes stood = reach_.KeepersOf(id);
    return has_image || std::any_of(stood.begin(), stood.end(),
                                    [&](NodeId one) { return IsGone(one); });
  }
  void TakeSnapshots(const Nodes* live) {
    bool has_changed = true;
    while (has_changed) {
      has_changed = false;
      for (const NodeId id : AllOf(NodeKind::kSnapshot)) {
        if (IsGone(id) || !IsSnapshotTaken(id, live)) continue;
        plan_.records.insert(id);
        has_changed = true;
      }
    }
  }

  // Images.

  Nodes Roots() const {
    Nodes roots = spared_;
    for (const NodeId id : reach_.all()) {
      const bool is_tag = view_.kind(id) == NodeKind::kTag;
      if (!IsGone(id) && (is_tag || reach_.IsRoot(id))) roots.insert(id);
    }
    return roots;
  }
  Nodes RootsWithoutTags() const {
    Nodes roots;
    for (const NodeId id : Roots()) {
      if (view_.kind(id) != NodeKind::kTag) roots.insert(id);
    }
    return roots;
  }

  bool IsTopImage(NodeId id) const {
    if (!IsManifestLike(view_.kind(id))) return false;
    if ((view_.fields(id).flags & index::kReferrer) != 0) return false;
    for (const NodeId keeper : reach_.KeepersOf(id)) {
      if (IsManifestLike(view_.kind(keeper)) && IsPresentBlob(keeper)) {
        return false;
      }
    }
    return true;
  }

  // The configs of an image and of all platforms that it lists; attestations
  // are none.
  void AddConfigs(NodeId image, Facts* facts) const {
    Nodes manifests = {image};
    size_t before = 0;
    while (before != manifests.size()) {
      before = manifests.size();
      for (const NodeId id : Nodes(manifests)) {
        for (const NodeId child : view_.Kept(id)) {
          if (IsManifestLike(view_.kind(child))) manifests.insert(child);
        }
      }
    }
    std::optional<absl::Time> youngest;
    const TextDetails& details = *world_.details;
    for (const NodeId id : manifests) {
      for (const NodeId child : view_.Kept(id)) {
        const std::string name = NameOf(child);
        if (view_.kind(child) != NodeKind::kConfig ||
            details.without_config.count(name) > 0 ||
            details.attestations.count(name) > 0) {
          continue;
        }
        const auto labels = details.labels.find(name);
        facts->labels.push_back(
            labels == details.labels.end() ? index::Labels() : labels->second);
        const auto created = details.created.find(name);
        const absl::Time time = created == details.created.end()
                                    ? absl::InfiniteFuture()
                                    : created->second;
        youngest = std::max(youngest.value_or(time), time);
      }
    }
    if (youngest) facts->times[TimeClock::kCreated] = *youngest;
  }
  // Of all of its tags, or of the one that is judged.
  Facts FactsOfImage(NodeId image, NodeId only_tag) const {
    const NodeFields fields = view_.fields(image);
    Facts facts;
    facts.times[TimeClock::kRecorded] = fields.recorded;
    if (fields.used != absl::InfinitePast()) {
      facts.times[TimeClock::kUsed] = fields.used;
      facts.times[TimeClock::kPulled] = fields.used;
    }
    if (fields.unreferenced_since != absl::InfiniteFuture()) {
      facts.times[TimeClock::kUntagged] = fields.unreferenced_since;
    }
    for (const NodeId tag : reach_.KeepersOf(image)) {
      if (view_.kind(tag) != NodeKind::kTag) continue;
      if (only_tag != kNoNode && tag != only_tag) continue;
      const absl::Time pushed = view_.fields(tag).recorded;
      const auto known = facts.times.try_emplace(TimeClock::kPushed, pushed);
      known.first->second = std::max(known.first->second, pushed);
    }
    AddConfigs(image, &facts);
    return facts;
  }
  bool IsLooseSelected(NodeId id) const {
    Facts facts;
    facts.times[TimeClock::kRecorded] = view_.fields(id).recorded;
    return Selects(request_.filter, facts);
  }

  bool IsTagHeld(NodeId tag, const Nodes& held) const {
    const NodeId image = view_.Kept(tag)[0];
    return !IsPresentBlob(image) || !IsManifestLike(view_.kind(image)) ||
           held.count(tag) > 0 || reach_.Touches(held, image) ||
           reach_.IsYoung(view_.fields(tag).recorded) ||
           IsPlaceKept(view_.fields(tag).place) ||
           reach_.IsRepositoryInDoubt(reach_.RepositoryOf(tag));
  }
  std::set<std::string> WrittenNames() const {
    std::set<std::string> names;
    for (const NodeId id : AllOf(NodeKind::kContainer)) {
      const auto written = world_.details->written.find(NameOf(id));
      if (IsGone(id) || written == world_.details->written.end()) continue;
      names.insert(TagThatIsWritten(written->second));
    }
    return names;
  }
  void DropUnusedTags() {
    Nodes containers;
    Nodes others;
    for (const NodeId id : RootsWithoutTags()) {
      if (view_.kind(id) == NodeKind::kContainer) {
        containers.insert(id);
        continue;
      }
      const uint16_t flags = view_.fields(id).flags;
      const bool is_marked =
          (flags & (index::kOpaque | index::kOnlyName)) != 0 ||
          reach_.IsInDoubt(id);
      // A young layer promises nothing to the images that have it.
      const bool is_part =
          reach_.IsBlob(id) && !IsManifestLike(view_.kind(id)) && !is_marked;
      if (!is_part) others.insert(id);
    }
    const Nodes used = reach_.Reach(containers, false);
    const Nodes held = reach_.Reach(others, true);
    const std::set<std::string> written = WrittenNames();
    std::map<NodeId, std::map<std::string, NodeId>> by_image;
    for (const NodeId tag : AllOf(NodeKind::kTag)) {
      if (IsTagHeld(tag, held)) continue;
      const index::NamedKey key = view_.named_key(tag);
      by_image[view_.Kept(tag)[0]][absl::StrCat(key.scope, ":", key.name)] =
          tag;
    }
    for (const auto& [image, tags] : by_image) {
      std::set<std::string> staying;
      for (const auto& [name, tag] : tags) {
        if (written.count(name) > 0) staying.insert(name);
      }
      // One name of a used image survives: the last in byte order, unless a
      // container wrote another.
      if (staying.empty()) staying.insert(tags.rbegin()->first);
      if (!reach_.Touches(used, image)) staying.clear();
      for (const auto& [name, tag] : tags) {
        if (staying.count(name) == 0 &&
            Selects(request_.filter, FactsOfImage(image, tag))) {
          plan_.tags.insert(tag);
        }
      }
    }
  }

  // What goes by reachability and is not selected stays, with what it needs.
  void SpareWhatIsNotSelected() {
    const Nodes live = reach_.Reach(Roots(), true);
    Nodes candidates;
    Nodes images;
    for (const NodeId id : reach_.all()) {
      if (!IsPresentBlob(id) || live.count(id) > 0) continue;
      candidates.insert(id);
      if (IsTopImage(id)) images.insert(id);
    }
    const Nodes of_images = reach_.Reach(images, false);
    for (const NodeId id : candidates) {
      const bool is_selected =
          images.count(id) > 0
              ? Selects(request_.filter, FactsOfImage(id, kNoNode))
              : of_images.count(id) > 0 || IsLooseSelected(id);
      if (!is_selected) spared_.insert(id);
    }
  }

  bool HasFilter() const {
    return !request_.filter.labels.empty() || !request_.filter.times.empty();
  }

  void TakeImages() {
    if (DropsUnusedTags()) DropUnusedTags();
    if (HasFilter()) SpareWhatIsNotSelected();
    const Nodes live = reach_.Reach(Roots(), true);
    for (const NodeId id : reach_.all()) {
      if (IsPresentBlob(id) && live.count(id) == 0 &&
          !IsUnreadable(view_.fields(id).place)) {
        plan_.content.insert(id);
      }
    }
    CountCached(live);
    TakeLinks(live);
    if (world_.tags_leave_entries) TakeLeftEntries();
    for (const NodeId id : AllOf(NodeKind::kUpload)) {
      const std::string repository = view_.named_key(id).scope;
      if (live.count(id) == 0 && IsLooseSelected(id) && !HasKeeper(id) &&
          unreadable_repositories_.count(repository) == 0) {
        plan_.uploads.insert(id);
      }
    }
    TakeSnapshots(&live);
  }

  void CountCached(const Nodes& live) {
    Nodes others;
    for (const NodeId id : Roots()) {
      if (view_.kind(id) != NodeKind::kBuildCache) others.insert(id);
    }
    const Nodes without_cache = reach_.Reach(others, true);
    for (const NodeId id : live) {
      if (!IsPresentBlob(id) || without_cache.count(id) > 0 ||
          IsUnreadable(view_.fields(id).place)) {
        continue;
      }
      ++plan_.cached_count;
      plan_.cached_bytes += view_.fields(id).bytes;
    }
  }

  Nodes StartsOf(NodeId repository) const {
    Nodes starts;
    for (const NodeId id : AllOf(NodeKind::kTag)) {
      if (plan_.tags.count(id) == 0 &&
          view_.named_key(id).scope == view_.named_key(repository).name) {
        starts.insert(id);
      }
    }
    for (const NaiveLink& link : reach_.LinksOf(repository, true)) {
      starts.insert(link.content);
    }
    return starts;
  }

  void TakeLinks(const Nodes& live) {
    Nodes repositories;
    for (const NodeId id : AllOf(NodeKind::kRepository)) {
      if (!reach_.IsRepositoryInDoubt(id) &&
          !IsPlaceKept(view_.fields(id).place)) {
        repositories.insert(id);
      }
    }
    // Manifests that some repository serves in its own right.
    Nodes served;
    for (const NodeId repository : repositories) {
      const Nodes own = reach_.Reach(StartsOf(repository), false);
      for (const NaiveLink& link : reach_.LinksOf(repository, false)) {
        if (link.kind == MembershipKind::kRevision &&
            own.count(link.content) > 0) {
          served.insert(link.content);
        }
      }
    }
    const Nodes common = reach_.Reach(RootsWithoutTags(), true);
    for (const NodeId repository : repositories) {
      Nodes starts = StartsOf(repository);
      for (const NaiveLink& link : reach_.LinksOf(repository, false)) {
        if (link.kind == MembershipKind::kRevision &&
            live.count(link.content) > 0 && served.count(link.content) == 0) {
          starts.insert(link.content);
        }
      }
      const Nodes own = reach_.Reach(starts, false);
      for (const NaiveLink& link : reach_.LinksOf(repository, false)) {
        // A filter selects images: the links beside them stay.
        const bool is_selected =
            !HasFilter() || plan_.content.count(link.content) > 0;
        if (is_selected && own.count(link.content) == 0 &&
            common.count(link.content) == 0) {
          plan_.links.insert(link);
        }
      }
    }
  }

  // An image layout: the entry whose name goes stays as one without a name, and
  // goes where its content does.
  void TakeLeftEntries() {
    for (const NodeId tag : plan_.tags) {
      const NodeId repository = reach_.RepositoryOf(tag);
      for (const NodeId content : view_.Kept(tag)) {
        const NaiveLink entry = {repository, content,
                                 MembershipKind::kRevision};
        const bool goes = plan_.content.count(content) > 0;
        // One that was there before is a link like others.
        if (repository != kNoNode && goes && !HasLink(entry)) {
          plan_.links.insert(entry);
        }
      }
    }
  }
  bool HasLink(const NaiveLink& entry) const {
    const std::vector<NaiveLink> links =
        reach_.LinksOf(entry.repository, false);
    return std::find(links.begin(), links.end(), entry) != links.end();
  }

  // The union of what is present, by extent where a file has several names.
  store::Bytes Stored(bool after) const {
    store::Bytes sum;
    Nodes extents;
    for (const NodeId id : reach_.all()) {
      const bool goes =
          plan_.content.count(id) > 0 || plan_.uploads.count(id) > 0;
      const bool is_bytes =
          reach_.IsBlob(id) || view_.kind(id) == NodeKind::kUpload;
      if (!is_bytes || view_.state(id) != NodeState::kPresent) continue;
      if (after && goes) continue;
      sum += view_.fields(id).bytes;
      if (reach_.IsBlob(id) && view_.ExtentOf(id) != kNoNode) {
        extents.insert(view_.ExtentOf(id));
      }
    }
    for (const NodeId extent : extents) sum += view_.fields(extent).bytes;
    return sum;
  }

  void CountBytes() {
    const store::Bytes before = Stored(false);
    const store::Bytes after = Stored(true);
    plan_.bytes.logical_bytes = before.logical_bytes - after.logical_bytes;
    plan_.bytes.allocated_bytes =
        before.allocated_bytes - after.allocated_bytes;
    for (const NodeId id : plan_.records) {
      plan_.bytes += view_.fields(id).bytes;
    }
  }

  const NaiveWorld& world_;
  const gc::PruneRequest& request_;
  const index::GraphView& view_;
  const NaiveReach reach_;
  bool is_store_unreadable_ = false;
  std::set<index::PlaceId> unreadable_places_;
  std::set<std::string> unreadable_repositories_;
  Nodes spared_;
  NaivePlan plan_;
};

}  // namespace

NaivePlan CollectNaively(const NaiveWorld& world,
                         const gc::PruneRequest& request) {
  return NaiveCollector(world, request).Run();
}

}  // namespace reclaim::tests

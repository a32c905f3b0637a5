#include "gc/deletion_guard.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace reclaim::gc {
namespace {

using index::GraphView;
using index::kNoNode;
using index::NodeFields;
using index::NodeId;
using index::NodeKind;
using index::NodeState;
using store::RemovalKind;

Verdict From(Keeper keeper) {
  return {keeper.reason, std::move(keeper.detail)};
}

Verdict Gone() { return {SkipReason::kGone, "it is not there any more"}; }

// A named node of the same name may be another one: the name is looked up and
// the node compared.
bool IsStillThere(const GraphView& view, const PlanItem& item,
                  index::StoreId store) {
  return view.Exists(item.node) && view.fields(item.node).kind == item.kind &&
         view.FindNamed({item.kind, store, item.scope, item.name}) == item.node;
}

}  // namespace

DeletionGuard::DeletionGuard(index::ReferenceGraph* graph)
    : order_(graph->HoldWriteOrder()) {}

const index::GraphReader& DeletionGuard::reader() const {
  RECLAIM_CHECK(order_ != nullptr, "the write order is held until Record()");
  return order_->reader();
}

void DeletionGuard::BeginTerms(const GuardTerms& terms) {
  RECLAIM_CHECK(order_ != nullptr, "what is judged is judged in order (I1)");
  terms_ = terms;
  permit_.planned_ = terms.names_seen;
  permit_.is_forced_ = terms.is_forced;
  is_store_kept_ = false;
  kept_repositories_.clear();
  kept_places_.clear();
  for (const index::UnreadableScope& scope : terms.unreadable_scopes) {
    if (scope.scope.empty()) {
      is_store_kept_ = true;
      continue;
    }
    kept_repositories_.insert(scope.scope);
    const NodeId id =
        view().FindNamed({NodeKind::kRepository, terms.store, "", scope.scope});
    // What a repository that can't be read names may be anything in its place.
    kept_places_.insert(id == kNoNode
                            ? view().FindPlace(terms.store, scope.scope)
                            : view().fields(id).place);
  }
}

bool DeletionGuard::WasTouched(NodeId node) const {
  return view().fields(node).stamp >= terms_.keeper.epoch;
}

Verdict DeletionGuard::JudgeScope(const store::Removal& removal) const {
  const index::PlaceId place = view().FindPlace(terms_.store, removal.place);
  if (is_store_kept_ || kept_places_.count(place) > 0 ||
      kept_repositories_.count(removal.repository) > 0) {
    return {SkipReason::kScopeKept,
            "a part of the store could not be read; scan it again"};
  }
  const bool is_about_content = removal.kind == RemovalKind::kBlob ||
                                removal.kind == RemovalKind::kRevisionLink ||
                                removal.kind == RemovalKind::kLayerLink ||
                                removal.kind == RemovalKind::kSnapshot;
  if (is_about_content && place != index::kNoPlace &&
      (view().IsWholeInDoubt(place) || IsInDoubt(removal.repository))) {
    return {SkipReason::kScopeKept,
            "a manifest that is not understood may reference it"};
  }
  return {};
}

bool DeletionGuard::IsInDoubt(const std::string& repository) const {
  if (repository.empty()) return false;
  const NodeId id =
      view().FindNamed({NodeKind::kRepository, terms_.store, "", repository});
  return id != kNoNode && view().IsRepositoryInDoubt(id);
}

// The links to a blob go before it does: those of the plan tell whether it is
// one of a repository in doubt, and without any it may be (decisions/0009).
Verdict DeletionGuard::JudgeLinks(const PlanItem& item, NodeId node) const {
  const index::PlaceId place =
      view().FindPlace(terms_.store, item.removal->place);
  if (place == index::kNoPlace || !view().HasDoubt(place)) return {};
  const auto may_be_of = [this](const std::string& name) {
    return IsInDoubt(name);
  };
  bool is_known = !item.linked_by.empty();
  if (node != kNoNode) {
    // Who links it now is asked by whoever looks for its keepers.
    view().ForEachRepositoryOf(node, [&](NodeId) {
      is_known = true;
      return false;
    });
  }
  if (is_known &&
      std::none_of(item.linked_by.begin(), item.linked_by.end(), may_be_of)) {
    return {};
  }
  return {SkipReason::kScopeKept,
          is_known ? "a repository that linked it holds a manifest that is not "
                     "understood"
                   : "no repository links it, and a manifest that is not "
                     "understood may reference it"};
}

Verdict DeletionGuard::JudgeBlob(const PlanItem& item,
                                 KeeperSearch* search) const {
  if (!view().Exists(item.node) ||
      view().state(item.node) != NodeState::kPresent) {
    return Gone();
  }
  const NodeFields fields = view().fields(item.node);
  if (fields.kind != item.kind || view().digest(item.node) != *item.digest) {
    return {SkipReason::kChanged, absl::StrCat("it is known to be a ",
                                               ToString(fields.kind), " now")};
  }
  Verdict verdict = JudgeLinks(item, item.node);
  return verdict.may_go() ? From(search->FindRoot(item.node)) : verdict;
}

Verdict DeletionGuard::JudgeTag(const PlanItem& item,
                                KeeperSearch* search) const {
  if (!IsStillThere(view(), item, terms_.store)) return Gone();
  const absl::Span<const NodeId> targets = view().Kept(item.node);
  if (targets.size() != 1 ||
      view().digest(targets[0]) != *item.removal->digest) {
    return {SkipReason::kChanged, "the tag names something else now"};
  }
  // Whoever uses an image stamps it, or a manifest that it lists.
  bool was_touched = WasTouched(item.node) || WasTouched(targets[0]);
  if (view().kind(targets[0]) == NodeKind::kImageIndex) {
    for (const NodeId listed : view().Kept(targets[0])) {
      was_touched |= WasTouched(listed);
    }
  }
  if (was_touched) {
    return {SkipReason::kTouched, "a writer asked for it since the plan"};
  }
  Verdict held;
  view().ForEachKeeper(item.node, [&](NodeId above) {
    if (view().Exists(above) && !search->IsLeaving(above)) {
      held = {view().kind(above) == NodeKind::kLease ? SkipReason::kLeased
                                                     : SkipReason::kBecameLive,
              absl::StrCat("held by ", ToString(view().kind(above)), " ",
                           view().named_key(above).name)};
    }
    return held.may_go();
  });
  return held;
}

Verdict DeletionGuard::JudgeLink(const PlanItem& item,
                                 KeeperSearch* search) const {
  const store::Removal& removal = *item.removal;
  const NodeId repository = view().FindNamed(
      {NodeKind::kRepository, terms_.store, "", removal.repository});
  const index::PlaceId place = view().FindPlace(terms_.store, removal.place);
  const NodeId content = place == index::kNoPlace
                             ? kNoNode
                             : view().FindContent(place, *removal.digest);
  if (repository == kNoNode || content == kNoNode) return Gone();
  const auto linked = view().LinkedAt(repository, content,
                                      removal.kind == RemovalKind::kRevisionLink
                                          ? store::MembershipKind::kRevision
                                          : store::MembershipKind::kLayer);
  if (WasTouched(content) || (linked && *linked > terms_.names_seen)) {
    return {SkipReason::kTouched, "a writer asked for it since the plan"};
  }
  search->AddUnnamed(content);
  Verdict verdict = From(search->FindInRepository(content, repository));
  if (!verdict.may_go()) search->RemoveUnnamed(content);
  return verdict;
}

Verdict DeletionGuard::JudgeUpload(const PlanItem& item) const {
  if (!IsStillThere(view(), item, terms_.store)) return Gone();
  const NodeFields fields = view().fields(item.node);
  const bool is_active =
      fields.recorded + terms_.keeper.upload_lifetime > terms_.keeper.now &&
      fields.expires >= terms_.keeper.now;
  if (is_active || WasTouched(item.node)) {
    return {SkipReason::kTouched, "the upload was written to"};
  }
  return {};
}

Verdict DeletionGuard::JudgeNamed(const PlanItem& item,
                                  KeeperSearch* search) const {
  if (!IsStillThere(view(), item, terms_.store)) return Gone();
  const NodeFields fields = view().fields(item.node);
  if ((fields.flags & (index::kRunning | index::kInUse | index::kPredefined)) !=
      0) {
    return {SkipReason::kInUse, "its owner uses it"};
  }
  if (WasTouched(item.node)) {
    return {SkipReason::kTouched, "it was recorded anew since the plan"};
  }
  Verdict verdict;
  // An unpacked layer stays with its image, which is no keeper of it.
  for (const NodeId target : view().Kept(item.node)) {
    if (fields.kind != NodeKind::kSnapshot) break;
    if (!IsContent(view().kind(target)) || search->IsLeaving(target)) continue;
    verdict = From(search->FindRoot(target));
    if (!verdict.may_go()) return verdict;
  }
  view().ForEachKeeper(item.node, [&](NodeId above) {
    if (!view().Exists(above) || search->IsLeaving(above)) return true;
    const NodeKind kind = view().kind(above);
    verdict = {
        kind == NodeKind::kLease ? SkipReason::kLeased : SkipReason::kInUse,
        absl::StrCat("used by ", ToString(kind), " ",
                     view().named_key(above).name)};
    return false;
  });
  return verdict;
}

Verdict DeletionGuard::JudgeItem(const PlanItem& item,
                                 KeeperSearch* search) const {
  if (!item.removal) return JudgeNamed(item, search);
  Verdict scope = JudgeScope(*item.removal);
  if (!scope.may_go()) return scope;
  switch (item.removal->kind) {
    case RemovalKind::kTag:
      return JudgeTag(item, search);
    case RemovalKind::kRevisionLink:
    case RemovalKind::kLayerLink:
      return JudgeLink(item, search);
    case RemovalKind::kUpload:
      return JudgeUpload(item);
    case RemovalKind::kBlob:
      return JudgeBlob(item, search);
    case RemovalKind::kContainer:
    case RemovalKind::kNetwork:
    case RemovalKind::kVolume:
    case RemovalKind::kSnapshot:
    case RemovalKind::kBuildCache:
      return JudgeNamed(item, search);
  }
  return {SkipReason::kFailed, "an item of unknown kind"};
}

std::vector<Verdict> DeletionGuard::Judge(absl::Span<const PlanItem> items,
                                          const GuardTerms& terms,
                                          absl::Span<const Verdict> vetoes) {
  RECLAIM_CHECK(vetoes.empty() || vetoes.size() == items.size(),
                "a veto belongs to one item");
  BeginTerms(terms);
  KeeperSearch search(&view(), terms.keeper);
  std::vector<Verdict> verdicts;
  verdicts.reserve(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const PlanItem& item = items[i];
    const bool is_vetoed = !vetoes.empty() && !vetoes[i].may_go();
    verdicts.push_back(is_vetoed ? vetoes[i] : JudgeItem(item, &search));
    if (verdicts.back().may_go() && item.node != kNoNode) {
      search.AddLeaving(item.node);
    }
  }
  return verdicts;
}

Verdict DeletionGuard::JudgeContentPurge(const PlanItem& item,
                                         KeeperSearch* search) const {
  const store::Removal& removal = *item.removal;
  const bool is_link = removal.kind == RemovalKind::kRevisionLink ||
                       removal.kind == RemovalKind::kLayerLink;
  if (!is_link && removal.kind != RemovalKind::kBlob) return {};
  const index::PlaceId place = view().FindPlace(terms_.store, removal.place);
  const NodeId node = place == index::kNoPlace
                          ? kNoNode
                          : view().FindContent(place, *removal.digest);
  const bool is_here =
      node != kNoNode && view().state(node) == NodeState::kPresent;
  // A link goes and stays with the content that it leads to: without it that
  // would come back and be served by nobody.
  if (is_link) {
    return node != kNoNode && view().state(node) == NodeState::kQuarantined
               ? From(search->FindRoot(node))
               : Verdict();
  }
  Verdict verdict;
  if (!is_here) verdict = JudgeLinks(item, node);
  if (verdict.may_go() && node != kNoNode && !is_here) {
    verdict = From(search->FindRoot(node));
  }
  return verdict;
}

std::vector<Verdict> DeletionGuard::JudgePurge(
    absl::Span<const QuarantineRecord> records, const GuardTerms& terms) {
  BeginTerms(terms);
  KeeperSearch search(&view(), terms.keeper);
  std::vector<Verdict> verdicts;
  verdicts.reserve(records.size());
  for (const QuarantineRecord& record : records) {
    Verdict verdict;
    const PlanItem& item = record.item;
    const bool is_settled = record.state == QuarantineState::kPurging;
    if (!is_settled && item.removal) verdict = JudgeScope(*item.removal);
    if (verdict.may_go() && record.state == QuarantineState::kQuarantined &&
        item.removal) {
      verdict = JudgeContentPurge(item, &search);
    }
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

absl::Status DeletionGuard::Record(
    absl::Span<const index::StateChange> changes,
    absl::Span<const index::Operation> operations,
    absl::Span<const index::RecordWrite> records, absl::string_view actor) {
  RECLAIM_CHECK(order_ != nullptr, "a guard records once");
  const absl::Status status =
      order_->Commit(changes, operations, records, actor);
  is_recorded_ = status.ok();
  order_.reset();
  return status;
}

const store::DeletionPermit& DeletionGuard::permit() const {
  RECLAIM_CHECK(is_recorded_,
                "no permit before the durable record of the deed (I3)");
  return permit_;
}

}  // namespace reclaim::gc

// The resident graph against the durable records: what has none would be lost
// at the next start.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/graph_records.h"
#include "index/verifier.h"

namespace reclaim::index {
namespace {

constexpr size_t kNodesAtOnce = 1024;
constexpr NodeId kYieldInterval = 4096;
constexpr char kMissing[] = "it is in memory and not on disk";
constexpr char kMissingAdvice[] = "scan the store again, then restart reclaimd";

bool IsReferrerOf(const GraphView& view, NodeId referrer, NodeId subject) {
  const absl::Span<const NodeId> referrers = view.Referrers(subject);
  return std::find(referrers.begin(), referrers.end(), referrer) !=
         referrers.end();
}

// Whether the record says what the graph has.
bool SaysSubject(absl::string_view value, NodeId subject) {
  const auto record =
      ParseRecord<storage::v1::ContentRecord>(Family::kContent, value);
  return record.ok() && record->has_subject() && record->subject() == subject;
}

}  // namespace

std::vector<Verifier::KnownNode> Verifier::NextNodes(
    NodeId* next, std::vector<Referral>* referrals) const {
  std::vector<KnownNode> nodes;
  const auto reader = graph_->Read();
  const GraphView& view = reader->view();
  for (; *next < view.node_count() && nodes.size() < kNodesAtOnce; ++*next) {
    if (*next % kYieldInterval == kYieldInterval - 1) view.Yield();
    if (!view.Exists(*next)) continue;
    const NodeFields fields = view.fields(*next);
    if (fields.store != store_.id) continue;
    KnownNode node;
    node.id = *next;
    node.kind = fields.kind;
    if (fields.state != NodeState::kAbsent) node.recorded = fields.recorded;
    nodes.push_back(node);
    for (const NodeId referrer : view.Referrers(*next)) {
      referrals->push_back({*next, referrer});
    }
  }
  return nodes;
}

absl::Status Verifier::CheckNode(const KnownNode& node) {
  const Family family =
      IsContent(node.kind) ? Family::kContent : Family::kNamed;
  const std::string key = IdKey(node.id);
  RECLAIM_ASSIGN_OR_RETURN(std::optional<std::string> value,
                           graph_->engine().Get(family, key));
  ++report_.node_count;
  if (value) {
    NoteRecord(node, *value);
    return absl::OkStatus();
  }
  const auto order = graph_->HoldWriteOrder();
  RECLAIM_ASSIGN_OR_RETURN(value, graph_->engine().Get(family, key));
  if (value || !order->reader().view().Exists(node.id)) {
    return absl::OkStatus();
  }
  Report({"missing-record", FindingSeverity::kDamage,
          absl::StrCat("node ", node.id), kMissing, kMissingAdvice});
  return absl::OkStatus();
}

// Records say who their subject is; in memory the subject knows its referrers.
absl::Status Verifier::CheckReferral(const Referral& referral) {
  const std::string key = IdKey(referral.referrer);
  RECLAIM_ASSIGN_OR_RETURN(std::optional<std::string> value,
                           graph_->engine().Get(Family::kContent, key));
  // One that has none is told of already.
  if (!value || SaysSubject(*value, referral.subject)) return absl::OkStatus();
  std::string subject;
  {
    const auto order = graph_->HoldWriteOrder();
    RECLAIM_ASSIGN_OR_RETURN(value,
                             graph_->engine().Get(Family::kContent, key));
    const GraphView& view = order->reader().view();
    if (!value || SaysSubject(*value, referral.subject) ||
        !view.Exists(referral.referrer) ||
        !IsReferrerOf(view, referral.referrer, referral.subject)) {
      return absl::OkStatus();
    }
    subject = NameOf(view, referral.referrer);
  }
  Report({"record-mismatch", FindingSeverity::kDamage, std::move(subject),
          "the graph has a subject of it that its record does not have",
          "stop reclaimd and move the database away: it is rebuilt from the "
          "stores"});
  return absl::OkStatus();
}

absl::Status Verifier::CheckResident() {
  {
    const auto reader = graph_->Read();
    reader->view().ForEachNamed(NodeKind::kSnapshot, store_.id, [&](NodeId) {
      has_snapshots_ = true;
      return false;
    });
  }
  NodeId next = 0;
  for (;;) {
    RECLAIM_RETURN_IF_ERROR(CheckCancelled());
    std::vector<Referral> referrals;
    const std::vector<KnownNode> nodes = NextNodes(&next, &referrals);
    if (nodes.empty()) break;
    for (const KnownNode& node : nodes) {
      RECLAIM_RETURN_IF_ERROR(CheckNode(node));
    }
    for (const Referral& referral : referrals) {
      RECLAIM_RETURN_IF_ERROR(CheckReferral(referral));
    }
  }
  NotePackedImages();
  return absl::OkStatus();
}

absl::Status Verifier::CheckLinks() {
  std::vector<NodeId> repositories;
  {
    const auto reader = graph_->Read();
    reader->view().ForEachNamed(NodeKind::kRepository, store_.id,
                                [&](NodeId id) {
                                  repositories.push_back(id);
                                  return true;
                                });
  }
  for (const NodeId repository : repositories) {
    RECLAIM_RETURN_IF_ERROR(CheckCancelled());
    RECLAIM_RETURN_IF_ERROR(CheckLinksOf(repository));
  }
  return absl::OkStatus();
}

absl::Status Verifier::CheckLinksOf(NodeId repository) {
  std::vector<std::string> recorded;  // keys, ascending
  RECLAIM_RETURN_IF_ERROR(
      graph_->engine().Scan(Family::kMembership, IdKey(repository), "",
                            [&](absl::string_view key, absl::string_view) {
                              recorded.push_back(std::string(key));
                              return true;
                            }));
  std::vector<std::pair<NodeId, store::MembershipKind>> links;
  {
    const auto reader = graph_->Read();
    reader->view().ForEachMember(
        repository,
        [&](NodeId content, store::MembershipKind kind, absl::Time) {
          links.emplace_back(content, kind);
          return true;
        });
  }
  for (const auto& [content, kind] : links) {
    if (!std::binary_search(recorded.begin(), recorded.end(),
                            MembershipKey(repository, content, kind))) {
      RECLAIM_RETURN_IF_ERROR(RecheckLink(repository, content, kind));
    }
  }
  return absl::OkStatus();
}

absl::Status Verifier::RecheckLink(NodeId repository, NodeId content,
                                   store::MembershipKind kind) {
  std::string subject;
  {
    const auto order = graph_->HoldWriteOrder();
    RECLAIM_ASSIGN_OR_RETURN(
        const std::optional<std::string> value,
        graph_->engine().Get(Family::kMembership,
                             MembershipKey(repository, content, kind)));
    const GraphView& view = order->reader().view();
    if (value || !view.LinkedAt(repository, content, kind)) {
      return absl::OkStatus();
    }
    subject = absl::StrCat(view.named_key(repository).name, "@",
                           view.digest(content).ToString());
  }
  Report({"missing-record", FindingSeverity::kDamage, std::move(subject),
          kMissing, kMissingAdvice});
  return absl::OkStatus();
}

}  // namespace reclaim::index

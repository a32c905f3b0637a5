// Durable records against the resident graph.

#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/graph_records.h"
#include "index/known_referrers.h"
#include "index/verifier.h"

namespace reclaim::index {
namespace {

constexpr size_t kRecordsAtOnce = 1024;
constexpr size_t kRecordsPerPause = 64;
constexpr char kWrongKey[] = "it lies under the key of another";

using Rows = std::vector<std::pair<std::string, std::string>>;

// Out of the engine first, then compared: no lock is held under another.
absl::StatusOr<Rows> NextRows(Engine& engine, Family family,
                              const std::string& from) {
  Rows rows;
  RECLAIM_RETURN_IF_ERROR(engine.Scan(
      family, "", from, [&](absl::string_view key, absl::string_view value) {
        rows.emplace_back(std::string(key), std::string(value));
        return rows.size() < kRecordsAtOnce;
      }));
  return rows;
}

bool SameNodes(absl::Span<const NodeId> a, const std::vector<NodeId>& b) {
  return std::set<NodeId>(a.begin(), a.end()) ==
         std::set<NodeId>(b.begin(), b.end());
}

// That a node without a subject is none's referrer CheckReferral() tells.
bool HasSubject(const GraphView& view, NodeId id, NodeId subject,
                KnownReferrers* referrers) {
  if (subject == kNoNode) return true;
  return view.Exists(subject) && referrers->Has(view, subject, id);
}

}  // namespace

std::string Verifier::CompareContent(const GraphView& view,
                                     absl::string_view key,
                                     absl::string_view value) const {
  const auto record =
      ParseRecord<storage::v1::ContentRecord>(Family::kContent, value);
  if (!record.ok()) return std::string(record.status().message());
  if (record->store() != store_.id) return "";
  const auto row = ToRow(*record);
  if (!row.ok()) return std::string(row.status().message());
  if (key != IdKey(row->id)) return kWrongKey;
  if (!view.Exists(row->id)) return "the record has no node";
  const NodeFields fields = view.fields(row->id);
  if (fields.kind != row->kind || !IsContent(fields.kind)) {
    return "the kinds differ";
  }
  // An extent has neither state nor digest on record: its names say them.
  if (row->kind != NodeKind::kExtent) {
    if (fields.state != row->state) return "the states differ";
    if (view.digest(row->id) != row->key.digest) return "the digests differ";
  }
  if (fields.place != row->key.place) return "the places differ";
  const bool is_here = row->state != NodeState::kAbsent;
  if (is_here && !(fields.bytes == row->bytes)) return "the sizes differ";
  if (view.ExtentOf(row->id) != row->extent) return "the extents differ";
  if (view.LinkCount(row->id) != row->link_count) {
    return "the link counts differ";
  }
  if (!SameNodes(view.Kept(row->id), row->children)) return "the edges differ";
  if (!HasSubject(view, row->id, row->subject, &referrers_)) {
    return "the subjects differ";
  }
  return "";
}

std::string Verifier::CompareNamed(const GraphView& view, absl::string_view key,
                                   absl::string_view value) const {
  const auto record =
      ParseRecord<storage::v1::NamedRecord>(Family::kNamed, value);
  if (!record.ok()) return std::string(record.status().message());
  if (record->store() != store_.id) return "";
  const NamedRow row = ToRow(*record);
  if (key != IdKey(row.id)) return kWrongKey;
  if (!view.Exists(row.id)) return "the record has no node";
  if (IsContent(view.kind(row.id))) return "the kinds differ";
  if (!(view.named_key(row.id) == row.key)) return "the names differ";
  if (!(view.fields(row.id).bytes == row.bytes)) return "the sizes differ";
  if (!SameNodes(view.Kept(row.id), row.targets)) return "the edges differ";
  return "";
}

// Of which store it is its repository says.
std::string Verifier::CompareMembership(const GraphView& view,
                                        absl::string_view key,
                                        absl::string_view value) const {
  const auto record =
      ParseRecord<storage::v1::MembershipRecord>(Family::kMembership, value);
  if (!record.ok()) return std::string(record.status().message());
  const MembershipRow row = ToRow(*record);
  if (!view.Exists(row.repository)) return "it is of no repository";
  if (view.fields(row.repository).store != store_.id) return "";
  if (key != MembershipKey(row.repository, row.content, row.kind)) {
    return kWrongKey;
  }
  const std::optional<absl::Time> linked =
      view.LinkedAt(row.repository, row.content, row.kind);
  if (!linked) return "the graph has no such link";
  // What is too far away for the arrays is infinitely far there.
  const bool is_far =
      *linked == absl::InfiniteFuture() || *linked == absl::InfinitePast();
  if (*linked != row.linked && !is_far) return "the times differ";
  const bool is_only_name = (view.fields(row.content).flags & kOnlyName) != 0;
  if (row.is_only_name && !is_only_name) return "it is no only name";
  return "";
}

std::string Verifier::CompareRecord(const GraphView& view, Family family,
                                    absl::string_view key,
                                    absl::string_view value) const {
  switch (family) {
    case Family::kContent:
      return CompareContent(view, key, value);
    case Family::kNamed:
      return CompareNamed(view, key, value);
    default:
      return CompareMembership(view, key, value);
  }
}

absl::Status Verifier::RecheckRecord(Family family, const std::string& key) {
  std::string difference;
  {
    const auto order = graph_->HoldWriteOrder();
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                             graph_->engine().Get(family, key));
    if (!value) return absl::OkStatus();
    referrers_.Forget();
    difference = CompareRecord(order->reader().view(), family, key, *value);
  }
  if (difference.empty()) return absl::OkStatus();
  Report(
      {"record-mismatch", FindingSeverity::kDamage,
       absl::StrCat(ToString(family), " record ", absl::BytesToHexString(key)),
       difference,
       "stop reclaimd and move the database away: it is rebuilt from the "
       "stores"});
  return absl::OkStatus();
}

absl::Status Verifier::CheckFamily(Family family) {
  std::string from;
  for (;;) {
    RECLAIM_RETURN_IF_ERROR(CheckCancelled());
    RECLAIM_ASSIGN_OR_RETURN(const Rows rows,
                             NextRows(graph_->engine(), family, from));
    std::vector<std::string> suspicious;
    {
      const auto reader = graph_->Read();
      for (size_t i = 0; i < rows.size(); ++i) {
        if (i % kRecordsPerPause == kRecordsPerPause - 1) {
          reader->view().Yield();
        }
        const auto& [key, value] = rows[i];
        if (!CompareRecord(reader->view(), family, key, value).empty()) {
          suspicious.push_back(key);
        }
      }
    }
    for (const std::string& key : suspicious) {
      RECLAIM_RETURN_IF_ERROR(RecheckRecord(family, key));
    }
    if (rows.size() < kRecordsAtOnce) return absl::OkStatus();
    from = rows.back().first + '\0';
  }
}

absl::Status Verifier::CheckRecords() {
  for (const Family family :
       {Family::kContent, Family::kNamed, Family::kMembership}) {
    RECLAIM_RETURN_IF_ERROR(CheckFamily(family));
  }
  RECLAIM_RETURN_IF_ERROR(CheckResident());
  return CheckLinks();
}

}  // namespace reclaim::index

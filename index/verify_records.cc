// Durable records against the resident graph.

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/graph_records.h"
#include "index/verifier.h"

namespace reclaim::index {
namespace {

constexpr size_t kRecordsAtOnce = 1024;

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

}  // namespace

std::string Verifier::CompareContent(const GraphView& view,
                                     absl::string_view value) {
  const auto record =
      ParseRecord<storage::v1::ContentRecord>(Family::kContent, value);
  if (!record.ok()) return std::string(record.status().message());
  if (record->store() != store_.id) return "";
  const auto row = ToRow(*record);
  if (!row.ok()) return std::string(row.status().message());
  if (!view.Exists(row->id)) return "the record has no node";
  const NodeFields fields = view.fields(row->id);
  if (fields.kind != row->kind) return "the kinds differ";
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
  return "";
}

std::string Verifier::CompareNamed(const GraphView& view,
                                   absl::string_view value) {
  const auto record =
      ParseRecord<storage::v1::NamedRecord>(Family::kNamed, value);
  if (!record.ok()) return std::string(record.status().message());
  if (record->store() != store_.id) return "";
  const NamedRow row = ToRow(*record);
  if (!view.Exists(row.id)) return "the record has no node";
  if (!(view.named_key(row.id) == row.key)) return "the names differ";
  if (!(view.fields(row.id).bytes == row.bytes)) return "the sizes differ";
  if (!SameNodes(view.Kept(row.id), row.targets)) return "the edges differ";
  return "";
}

absl::Status Verifier::RecheckRecord(Family family, const std::string& key) {
  std::string difference;
  std::string subject;
  {
    const auto order = graph_->HoldWriteOrder();
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                             graph_->engine().Get(family, key));
    if (!value) return absl::OkStatus();
    const GraphView& view = order->reader().view();
    difference = family == Family::kContent ? CompareContent(view, *value)
                                            : CompareNamed(view, *value);
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
      for (const auto& [key, value] : rows) {
        const std::string difference =
            family == Family::kContent ? CompareContent(reader->view(), value)
                                       : CompareNamed(reader->view(), value);
        if (!difference.empty()) suspicious.push_back(key);
      }
    }
    for (const std::string& key : suspicious) {
      RECLAIM_RETURN_IF_ERROR(RecheckRecord(family, key));
    }
    if (rows.size() < kRecordsAtOnce) return absl::OkStatus();
    from = rows.back().first + '\0';
  }
}

// Nodes without a record would be lost at the next start.
absl::Status Verifier::CheckResident() {
  NodeId next = 0;
  for (bool is_end = false; !is_end;) {
    RECLAIM_RETURN_IF_ERROR(CheckCancelled());
    std::vector<std::pair<NodeId, bool>> ids;
    {
      const auto reader = graph_->Read();
      const GraphView& view = reader->view();
      for (; next < view.node_count() && ids.size() < kRecordsAtOnce; ++next) {
        if (!view.Exists(next) || view.fields(next).store != store_.id) {
          continue;
        }
        ids.emplace_back(next, IsContent(view.kind(next)));
      }
      is_end = next >= view.node_count();
    }
    for (const auto& [id, is_content] : ids) {
      const Family family = is_content ? Family::kContent : Family::kNamed;
      RECLAIM_ASSIGN_OR_RETURN(std::optional<std::string> value,
                               graph_->engine().Get(family, IdKey(id)));
      ++report_.node_count;
      if (value) continue;
      const auto order = graph_->HoldWriteOrder();
      RECLAIM_ASSIGN_OR_RETURN(value, graph_->engine().Get(family, IdKey(id)));
      if (value || !order->reader().view().Exists(id)) continue;
      Report({"missing-record", FindingSeverity::kDamage,
              absl::StrCat("node ", id), "it is in memory and not on disk",
              "scan the store again, then restart reclaimd"});
    }
  }
  return absl::OkStatus();
}

absl::Status Verifier::CheckRecords() {
  RECLAIM_RETURN_IF_ERROR(CheckFamily(Family::kContent));
  RECLAIM_RETURN_IF_ERROR(CheckFamily(Family::kNamed));
  return CheckResident();
}

}  // namespace reclaim::index

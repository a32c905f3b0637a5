// What a request to restore means: the entries that it names, and those of what
// they are made of.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/restore.h"
#include "oci/name.h"

namespace reclaim::gc {
namespace {

using index::kNoNode;
using index::NodeId;
using store::RemovalKind;

using Content = std::pair<store::Place, oci::Digest>;
using Closure = std::set<Content>;

constexpr uint64_t kStepsPerSlice = 4096;

void Walk(const index::GraphView& view, NodeId top, bool with_referrers,
          Closure* closure) {
  absl::flat_hash_set<NodeId> seen = {top};
  std::vector<NodeId> stack = {top};
  uint64_t step = 0;
  while (!stack.empty()) {
    if (++step % kStepsPerSlice == 0) view.Yield();
    const NodeId id = stack.back();
    stack.pop_back();
    if (!view.Exists(id)) continue;
    closure->insert({view.PlaceName(view.fields(id).place), view.digest(id)});
    const auto push = [&](NodeId next) {
      if (seen.insert(next).second) stack.push_back(next);
    };
    for (const NodeId child : view.Kept(id)) push(child);
    if (!with_referrers) continue;
    for (const NodeId referrer : view.Referrers(id)) push(referrer);
  }
}

// kNoNode also for what was found in the quarantine folder without a record.
NodeId NodeOf(const CollectedStore& site, const index::GraphView& view,
              const Content& content) {
  const index::PlaceId place = view.FindPlace(site.id, content.first);
  return place == index::kNoPlace ? kNoNode
                                  : view.FindContent(place, content.second);
}

// The bytes of some content and the links to them, one content at a time: it
// may be millions.
absl::Status ForEachRecordOf(const CollectedStore& site,
                             const Closure& contents,
                             absl::FunctionRef<void(QuarantineRecord)> visit) {
  for (const auto& [place, digest] : contents) {
    RECLAIM_ASSIGN_OR_RETURN(
        std::vector<QuarantineRecord> found,
        site.runs->FindQuarantined(site.name, place, digest));
    for (QuarantineRecord& record : found) {
      if (!record.item.removal ||
          record.item.removal->kind == RemovalKind::kTag) {
        continue;
      }
      visit(std::move(record));
    }
  }
  return absl::OkStatus();
}

// Entries, each once.
class Selection {
 public:
  explicit Selection(const CollectedStore* site) : site_(*site) {}

  void Add(QuarantineRecord record) {
    if (!keys_.insert({record.run_id, record.number}).second) return;
    records_.push_back(std::move(record));
  }
  // Bytes and links of what is in `closure`; tags stand for themselves.
  absl::Status AddAll(const Closure& closure, bool with_adopted) {
    return ForEachRecordOf(site_, closure, [&](QuarantineRecord record) {
      if (with_adopted || record.number < kFirstAdopted) Add(std::move(record));
    });
  }
  std::vector<QuarantineRecord> Take() { return std::move(records_); }

 private:
  const CollectedStore& site_;
  std::set<QuarantineKey> keys_;
  std::vector<QuarantineRecord> records_;
};

// Of each of `named`, what Walk() finds.  A run may have taken millions.
Closure ClosureOf(const CollectedStore& site, const Closure& named,
                  bool with_referrers) {
  Closure closure;
  const auto reader = site.graph->Read();
  const index::GraphView& view = reader->view();
  uint64_t step = 0;
  for (const Content& content : named) {
    if (++step % kStepsPerSlice == 0) view.Yield();
    const NodeId node = NodeOf(site, view, content);
    if (node != kNoNode) Walk(view, node, with_referrers, &closure);
  }
  return closure;
}

// The content with what it is made of and its referrers.
absl::Status AddContent(const CollectedStore& site, const Closure& named,
                        Selection* selected) {
  Closure closure = ClosureOf(site, named, /*with_referrers=*/true);
  closure.insert(named.begin(), named.end());
  return selected->AddAll(closure, /*with_adopted=*/true);
}

// In every place.
absl::Status AddDigest(const CollectedStore& site, const oci::Digest& digest,
                       Selection* selected) {
  Closure named;
  RECLAIM_RETURN_IF_ERROR(site.runs->ForEachQuarantined(
      site.name, [&](const QuarantineRecord& record) {
        if (record.item.removal && record.item.digest == digest) {
          named.insert({record.item.removal->place, digest});
        }
        return true;
      }));
  return AddContent(site, named, selected);
}

// What the run took, and what that is made of: a later run may have taken a
// layer that came back meanwhile, and half an image is of no use to anybody.
absl::Status AddRun(const CollectedStore& site, const std::string& run_id,
                    Selection* selected) {
  Closure named;
  RECLAIM_RETURN_IF_ERROR(
      site.runs->ForEachQuarantined(site.name, [&](QuarantineRecord record) {
        if (record.run_id != run_id) return true;
        if (IsRestorable(record) && record.item.removal && record.item.digest) {
          named.insert({record.item.removal->place, *record.item.digest});
        }
        selected->Add(std::move(record));
        return true;
      }));
  const Closure closure = ClosureOf(site, named, /*with_referrers=*/false);
  // What no node stands for comes with its own run alone: nobody knows yet what
  // it is made of.
  return selected->AddAll(closure, /*with_adopted=*/false);
}

absl::Status AddTag(const CollectedStore& site, const std::string& text,
                    Selection* selected) {
  RECLAIM_ASSIGN_OR_RETURN(const oci::Reference reference,
                           oci::ParseReference(text));
  const std::string tag = reference.tag.empty() ? "latest" : reference.tag;
  std::optional<QuarantineRecord> newest;
  RECLAIM_RETURN_IF_ERROR(
      site.runs->ForEachQuarantined(site.name, [&](QuarantineRecord record) {
        if (record.item.removal &&
            record.item.removal->kind == RemovalKind::kTag &&
            record.item.scope == reference.repository &&
            record.item.name == tag &&
            (!newest || newest->quarantined < record.quarantined)) {
          newest = std::move(record);
        }
        return true;
      }));
  if (!newest) return absl::OkStatus();
  const Closure named = {
      Content(newest->item.removal->place, *newest->item.digest)};
  RECLAIM_RETURN_IF_ERROR(AddContent(site, named, selected));
  selected->Add(*std::move(newest));
  return absl::OkStatus();
}

}  // namespace

void AddClosure(const index::GraphView& view, NodeId top,
                std::set<std::pair<store::Place, oci::Digest>>* closure) {
  Walk(view, top, /*with_referrers=*/true, closure);
}

absl::StatusOr<std::vector<QuarantineRecord>> RecordsOfContent(
    const CollectedStore& site,
    const std::set<std::pair<store::Place, oci::Digest>>& contents) {
  std::vector<QuarantineRecord> records;
  RECLAIM_RETURN_IF_ERROR(ForEachRecordOf(
      site, contents,
      [&](QuarantineRecord record) { records.push_back(std::move(record)); }));
  return records;
}

absl::StatusOr<std::vector<QuarantineRecord>> SelectForRestore(
    const CollectedStore& site, const RestoreRequest& request) {
  const int named = (request.run_id.empty() ? 0 : 1) +
                    (request.reference.empty() ? 0 : 1) +
                    (request.digest ? 1 : 0);
  if (named != 1) {
    return absl::InvalidArgumentError(
        "name one thing to restore: a run, a tag or a digest");
  }
  Selection selection(&site);
  std::string what = request.run_id;
  if (request.digest) {
    what = request.digest->ToString();
    RECLAIM_RETURN_IF_ERROR(AddDigest(site, *request.digest, &selection));
  } else if (!request.reference.empty()) {
    what = request.reference;
    RECLAIM_RETURN_IF_ERROR(AddTag(site, request.reference, &selection));
  } else {
    RECLAIM_RETURN_IF_ERROR(AddRun(site, request.run_id, &selection));
  }
  std::vector<QuarantineRecord> selected = selection.Take();
  selected.erase(std::remove_if(selected.begin(), selected.end(),
                                [](const QuarantineRecord& r) {
                                  return !IsRestorable(r);
                                }),
                 selected.end());
  if (!selected.empty()) return selected;
  return absl::NotFoundError(absl::StrCat(
      "nothing of ", what, " is in the quarantine of the store ", site.name));
}

}  // namespace reclaim::gc

#include "index/verify.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/doubts.h"
#include "index/recount.h"
#include "index/verifier.h"

namespace reclaim::index {
namespace {

constexpr uint64_t kFindingMax = 10'000;

// The lines in which two lists of figures differ.
std::string DifferingLines(const std::string& a, const std::string& b) {
  std::string out;
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() && j < b.size()) {
    const size_t a_end = std::min(a.find('\n', i), a.size());
    const size_t b_end = std::min(b.find('\n', j), b.size());
    const std::string a_line = a.substr(i, a_end - i);
    const std::string b_line = b.substr(j, b_end - j);
    if (a_line != b_line) {
      absl::StrAppend(&out, out.empty() ? "" : "; ", "counted ", a_line,
                      ", recomputed ", b_line);
    }
    i = a_end + 1;
    j = b_end + 1;
  }
  return out;
}

}  // namespace

absl::Status Verifier::CheckCancelled() const {
  if (options_.is_cancelled && options_.is_cancelled()) {
    return absl::CancelledError("the verification was cancelled");
  }
  return absl::OkStatus();
}

void Verifier::Report(Finding finding) {
  ++report_.finding_count;
  if (finding.severity == FindingSeverity::kDamage) ++report_.damage_count;
  if (report_.finding_count <= kFindingMax && options_.on_finding) {
    options_.on_finding(finding);
  }
}

void Verifier::Progress() {
  if (options_.on_progress) options_.on_progress(progress_);
}

std::string Verifier::CompareTotals(const GraphReader& reader) const {
  const StoreTotals counted = reader.totals(store_.id);
  RecountInputs inputs;
  inputs.store = store_.id;
  inputs.now = clock_->Now();
  inputs.grace_period = graph_->options().grace_period;
  inputs.orphans = counted.orphan;
  inputs.adopted = counted.adopted;
  inputs.adopted_held = counted.adopted_held;
  const StoreTotals recomputed = Recount(reader.view(), inputs);
  if (counted == recomputed) return "";
  return DifferingLines(ToString(counted), ToString(recomputed));
}

// Known since the scan; a reader still has to hear of it.
void Verifier::CheckScopes() {
  for (const UnreadableScope& scope :
       options_.list_kept ? options_.list_kept() : store_.unreadable_scopes) {
    Report({"kept-scope", FindingSeverity::kWarning,
            scope.scope.empty() ? store_.name : scope.scope, scope.why,
            absl::StrCat("nothing that it may keep is collected: mend it, then "
                         "`reclaim scan ",
                         store_.name, "`")});
  }
}

// Manifests that a name leads to and that are not there: the scan has told of
// them as well (index/doubts.h).
void Verifier::CheckDoubts() {
  constexpr NodeId kYieldInterval = 4096;
  std::vector<std::string> missing;
  {
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    for (NodeId id = 0; id < view.node_count(); ++id) {
      if (id % kYieldInterval == kYieldInterval - 1) view.Yield();
      if (!view.Exists(id) || !IsContent(view.kind(id))) continue;
      const NodeFields fields = view.fields(id);
      if (fields.store != store_.id || fields.state != NodeState::kAbsent ||
          (fields.flags & kOpaque) == 0 || ScopeOfDoubt(view, id).empty()) {
        continue;
      }
      missing.push_back(NameOf(view.PlaceName(fields.place), view.digest(id)));
    }
  }
  for (std::string& name : missing) {
    Report({"kept-scope", FindingSeverity::kWarning, std::move(name),
            "the manifest is not there, so what it references is unknown",
            "nothing that it may reference is collected: push it again, or "
            "delete it, and scan the store"});
  }
}

absl::Status Verifier::CheckCounters() {
  std::string difference;
  {
    const auto reader = graph_->Read();
    difference = CompareTotals(*reader);
  }
  // Writers that came in between, or a moment at which a grace period ended:
  // once more with nobody writing.
  for (int attempt = 0; attempt < 2 && !difference.empty(); ++attempt) {
    graph_->Read();  // settles what has expired
    const auto order = graph_->HoldWriteOrder();
    difference = CompareTotals(order->reader());
  }
  if (!difference.empty()) {
    Report({"counter-mismatch", FindingSeverity::kDamage, store_.name,
            difference,
            "restart reclaimd: it counts anew; then please report this"});
  }
  return absl::OkStatus();
}

// Counted by whoever keeps the records (gc/run_store.h): summed up from them
// here.  A purge or restore that goes on may come between, so once more.
absl::Status Verifier::CheckAdopted() {
  if (!options_.list_adopted) return absl::OkStatus();
  std::string difference;
  for (int attempt = 0; attempt < 3; ++attempt) {
    RECLAIM_ASSIGN_OR_RETURN(adopted_, options_.list_adopted());
    StoreTotals recorded;
    for (const AdoptedBlob& blob : adopted_) {
      ++recorded.adopted.count;
      recorded.adopted.bytes += blob.bytes;
      recorded.adopted_held += blob.held;
    }
    StoreTotals counted;
    {
      const auto reader = graph_->Read();
      counted.adopted = reader->totals(store_.id).adopted;
      counted.adopted_held = reader->totals(store_.id).adopted_held;
    }
    if (counted == recorded) return absl::OkStatus();
    difference = DifferingLines(ToString(counted), ToString(recorded));
  }
  Report({"counter-mismatch", FindingSeverity::kDamage, store_.name, difference,
          "restart reclaimd: it counts anew; then please report this"});
  return absl::OkStatus();
}

absl::StatusOr<VerifyReport> Verify(ReferenceGraph* graph,
                                    absl::string_view store,
                                    const store::ContentStore* content,
                                    const base::Clock& clock,
                                    const VerifyOptions& options) {
  for (const StoreRecord& record : graph->Stores()) {
    if (record.name != store) continue;
    Verifier verifier(graph, record, content, &clock, &options);
    verifier.CheckScopes();
    verifier.CheckDoubts();
    RECLAIM_RETURN_IF_ERROR(verifier.CheckCounters());
    RECLAIM_RETURN_IF_ERROR(verifier.CheckAdopted());
    RECLAIM_RETURN_IF_ERROR(verifier.CheckRecords());
    RECLAIM_RETURN_IF_ERROR(verifier.CheckFiles());
    return verifier.report();
  }
  return absl::NotFoundError(
      absl::StrCat("store \"", store, "\" is not registered"));
}

}  // namespace reclaim::index

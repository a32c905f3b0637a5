#include "index/verify.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "index/doubts.h"
#include "index/recount.h"
#include "index/verifier.h"

namespace reclaim::index {
namespace {

constexpr uint64_t kFindingMax = 10'000;
// Until what is counted beside the graph is found wrong (CheckAdopted), and
// until it is left, for a run is at work all the time.
constexpr int kSameLooks = 5;
constexpr int kLooksMax = 300;
constexpr absl::Duration kLookInterval = absl::Milliseconds(10);

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

StoreTotals CountedAdopted(const ReferenceGraph& graph, StoreId store) {
  const auto reader = graph.Read();
  StoreTotals counted;
  counted.adopted = reader->totals(store).adopted;
  counted.adopted_held = reader->totals(store).adopted_held;
  return counted;
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

// Counted by whoever keeps the records (gc/run_store.h), right after each of
// its commits: summed up from them here.  What is counted while a run is at
// work is another figure before the list and after it, and says nothing; so
// does one that has a commit before it, until it has been counted.
absl::Status Verifier::CheckAdopted() {
  if (!options_.list_adopted) return absl::OkStatus();
  std::string difference;
  for (int looks = 0, agreeing = 0; agreeing < kSameLooks; ++looks) {
    if (looks == kLooksMax) return absl::OkStatus();
    if (looks > 0) absl::SleepFor(kLookInterval);
    const StoreTotals before = CountedAdopted(*graph_, store_.id);
    RECLAIM_ASSIGN_OR_RETURN(adopted_, options_.list_adopted());
    StoreTotals recorded;
    for (const AdoptedBlob& blob : adopted_) {
      ++recorded.adopted.count;
      recorded.adopted.bytes += blob.bytes;
      recorded.adopted_held += blob.held;
    }
    const StoreTotals after = CountedAdopted(*graph_, store_.id);
    if (recorded == before || recorded == after) return absl::OkStatus();
    const std::string last = std::exchange(
        difference, DifferingLines(ToString(after), ToString(recorded)));
    agreeing = before == after && difference == last ? agreeing + 1 : 0;
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

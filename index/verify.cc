#include "index/verify.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
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

// ToString() of totals by figure; those that are zero have no line.
std::map<std::string, std::string> Figures(const StoreTotals& totals) {
  std::map<std::string, std::string> figures;
  for (const absl::string_view line :
       absl::StrSplit(ToString(totals), '\n', absl::SkipEmpty())) {
    figures.insert(absl::StrSplit(line, absl::MaxSplits(": ", 1)));
  }
  return figures;
}

// The figures that differ.
std::string Difference(const StoreTotals& counted,
                       const StoreTotals& recounted) {
  const std::map<std::string, std::string> ours = Figures(counted);
  const std::map<std::string, std::string> theirs = Figures(recounted);
  std::map<std::string, std::string> both = ours;
  both.insert(theirs.begin(), theirs.end());
  const auto in = [](const std::map<std::string, std::string>& figures,
                     const std::string& name) {
    const auto found = figures.find(name);
    return found == figures.end() ? std::string("0") : found->second;
  };
  std::string out;
  for (const auto& figure : both) {
    const std::string& name = figure.first;
    if (in(ours, name) == in(theirs, name)) continue;
    absl::StrAppend(&out, out.empty() ? "" : "; ", name, ": counted ",
                    in(ours, name), ", recomputed ", in(theirs, name));
  }
  return out;
}

// What `live` and `candidate` divide between them, out of the totals by kind.
Tally PresentBytes(const StoreTotals& totals) {
  Tally present;
  for (int i = 0; i < kNodeKindCount; ++i) {
    const NodeKind kind = static_cast<NodeKind>(i);
    if (!IsContent(kind) && kind != NodeKind::kUpload) continue;
    // Of a file with several names these are counted, not the file.
    if (kind != NodeKind::kExtent) present.count += totals.by_kind[i].count;
    present.bytes += totals.by_kind[i].bytes;
  }
  return present;
}

// "" if it holds.
std::string BrokenIdentity(const StoreTotals& totals) {
  const Tally present = PresentBytes(totals);
  Tally judged = totals.live;
  judged.count += totals.candidate.count;
  judged.bytes += totals.candidate.bytes;
  if (judged == present) return "";
  const auto text = [](const Tally& tally) {
    return absl::StrCat(tally.count, " / ", tally.bytes.logical_bytes, " / ",
                        tally.bytes.allocated_bytes);
  };
  return absl::StrCat("live and candidate are ", text(judged),
                      ", the content and uploads of all kinds ", text(present));
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

std::optional<Finding> JudgeCounters(absl::string_view store,
                                     const StoreTotals& counted,
                                     const StoreTotals& recounted) {
  const std::string broken = BrokenIdentity(counted);
  if (counted == recounted && broken.empty()) return std::nullopt;
  Finding finding;
  finding.check = broken.empty() ? "counter-mismatch" : "identity-broken";
  finding.severity = FindingSeverity::kDamage;
  finding.subject = std::string(store);
  const std::string difference = Difference(counted, recounted);
  finding.detail = broken.empty() ? difference
                   : difference.empty()
                       ? broken
                       : absl::StrCat(broken, "; ", difference);
  finding.advice = "restart reclaimd: it counts anew; then please report this";
  return finding;
}

std::optional<Finding> Verifier::CompareTotals(
    const GraphReader& reader) const {
  const StoreTotals counted = reader.totals(store_.id);
  RecountInputs inputs;
  inputs.store = store_.id;
  // The graph's time does not go back where a clock was set back.
  inputs.now = std::max(clock_->Now(), reader.now());
  inputs.grace_period = graph_->options().grace_period;
  inputs.orphans = counted.orphan;
  inputs.adopted = counted.adopted;
  inputs.adopted_held = counted.adopted_held;
  return JudgeCounters(store_.name, counted, Recount(reader.view(), inputs));
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
  std::optional<Finding> finding;
  {
    const auto reader = graph_->Read();
    finding = CompareTotals(*reader);
  }
  // Writers that came in between, or a moment at which a grace period ended:
  // once more with nobody writing.
  for (int attempt = 0; attempt < 2 && finding; ++attempt) {
    graph_->Read();  // settles what has expired
    const auto order = graph_->HoldWriteOrder();
    finding = CompareTotals(order->reader());
  }
  if (finding) Report(*std::move(finding));
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
    const std::string last =
        std::exchange(difference, Difference(after, recorded));
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
    verifier.SumUpRemarks();
    return verifier.report();
  }
  return absl::NotFoundError(
      absl::StrCat("store \"", store, "\" is not registered"));
}

}  // namespace reclaim::index

#include "gc/ongoing_run.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"

namespace reclaim::gc {
namespace {

constexpr size_t kSkippedMax = 1000;
constexpr size_t kProblemMax = 100;

bool IsImage(const PlanItem& item) {
  return IsManifestLike(item.kind) && item.removal &&
         item.removal->kind == store::RemovalKind::kBlob &&
         (item.reason == DoomReason::kDangling ||
          item.reason == DoomReason::kUnused ||
          item.reason == DoomReason::kNamed);
}

// Whether an item that was skipped for this is work that is left to do.  What
// is needed or gone by now is none.
bool IsLeft(SkipReason reason) {
  switch (reason) {
    case SkipReason::kNone:
    case SkipReason::kBecameLive:
    case SkipReason::kTouched:
    case SkipReason::kLeased:
    case SkipReason::kInUse:
    case SkipReason::kGone:
      return false;
    case SkipReason::kChanged:
    case SkipReason::kScopeKept:
    case SkipReason::kFailed:
    case SkipReason::kProofMissing:
      return true;
  }
  return true;
}

}  // namespace

bool OngoingRun::IsCancelled() const {
  return control_ != nullptr && control_->is_cancelled &&
         control_->is_cancelled();
}

void OngoingRun::Skip(std::string subject, SkipReason reason,
                      std::string detail) {
  ++run().skipped_count;
  has_left_ |= IsLeft(reason);
  if (run().skipped.size() >= kSkippedMax) return;
  run().skipped.push_back({base::EscapeUnlessUtf8(subject), reason,
                           base::EscapeUnlessUtf8(detail)});
}

void OngoingRun::AddProblem(std::string problem) {
  if (run().problems.size() >= kProblemMax) return;
  run().problems.push_back(base::EscapeUnlessUtf8(problem));
}

void OngoingRun::Fail(std::string subject, const absl::Status& status) {
  AddProblem(absl::StrCat(subject, ": ", status.message()));
  Skip(std::move(subject), SkipReason::kFailed, std::string(status.message()));
  site_->observer->OnItemFailed(site_->name, status);
}

void OngoingRun::Count(const PlanItem& item, const store::RemovalBytes& bytes) {
  ++run().item_count;
  if (item.removal && item.removal->kind == store::RemovalKind::kBlob) {
    ++run().blob_count;
  }
  if (IsImage(item)) ++run().image_count;
  run().bytes += bytes;
  run().progress.done_bytes += bytes.content;
}

void OngoingRun::Begin() {
  site_->observer->OnRunBegin(run());
  Report();
}

void OngoingRun::Report() {
  if (control_ != nullptr && control_->on_progress) {
    control_->on_progress(run());
  }
}

absl::StatusOr<Run> OngoingRun::End(const absl::Status& status) {
  run().ended = site_->clock->Now();
  if (status.ok()) {
    // Those of a run that goes on, and of a purge that is a part of this one.
    for (const SkippedItem& item : run().skipped) {
      has_left_ |= IsLeft(item.reason);
    }
    run().phase = run().problems.empty() && !has_left_ ? RunPhase::kSucceeded
                                                       : RunPhase::kPartial;
  } else {
    run().phase =
        absl::IsCancelled(status) ? RunPhase::kCancelled : RunPhase::kFailed;
    AddProblem(std::string(status.message()));
  }
  site_->observer->OnRunEnd(run());
  Report();
  RECLAIM_RETURN_IF_ERROR(site_->runs->PutRun(stored_));
  return run();
}

}  // namespace reclaim::gc

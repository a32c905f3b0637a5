#include "store/layout_index_file.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "oci/image_layout_index.h"

namespace reclaim::store {
namespace {

constexpr uint64_t kIndexBytesMax = uint64_t{4} << 20;
constexpr char kHeldPrefix[] = ".reclaim-index.json.";
constexpr char kHeldSuffix[] = ".tmp";
// Each is somebody's write within microseconds of ours.
constexpr int kAttemptMax = 64;

LayoutIndexFile::StepHook* step_hook = nullptr;

absl::Status Step(const char* step) {
  return step_hook == nullptr ? absl::OkStatus() : (*step_hook)(step);
}

absl::Status TooBusy(const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat(path, ": others write it all the time: try again"));
}

}  // namespace

void LayoutIndexFile::SetStepHookForTest(StepHook hook) {
  delete step_hook;
  step_hook = hook ? new StepHook(std::move(hook)) : nullptr;
}

absl::StatusOr<std::string> LayoutIndexFile::Read() const {
  absl::StatusOr<std::string> bytes = root_.Read(path_, kIndexBytesMax);
  if (bytes.ok()) return bytes;
  return NotGone(bytes.status());
}

absl::StatusOr<oci::Digest> LayoutIndexFile::DigestOf(
    const std::string& path) const {
  oci::Hasher hasher(oci::DigestAlgorithm::kSha256);
  RECLAIM_RETURN_IF_ERROR(root_.ReadPieces(path, [&](absl::string_view piece) {
    hasher.Update(piece);
    return absl::OkStatus();
  }));
  return hasher.Finish();
}

std::string LayoutIndexFile::HeldPath(const Exchanged& exchanged) const {
  return JoinPath(place_, absl::StrCat(kHeldPrefix, exchanged.before.hex(), "-",
                                       exchanged.after.hex(), kHeldSuffix));
}

absl::StatusOr<LayoutIndexFile::Exchanged> LayoutIndexFile::ParseHeld(
    absl::string_view name) {
  const absl::Status other =
      absl::InvalidArgumentError("not what an exchange holds back");
  if (!absl::ConsumePrefix(&name, kHeldPrefix) ||
      !absl::ConsumeSuffix(&name, kHeldSuffix)) {
    return other;
  }
  const std::vector<std::string> parts = absl::StrSplit(name, '-');
  if (parts.size() != 2) return other;
  Exchanged exchanged;
  RECLAIM_ASSIGN_OR_RETURN(
      exchanged.before, oci::Digest::Parse(absl::StrCat("sha256:", parts[0])));
  RECLAIM_ASSIGN_OR_RETURN(
      exchanged.after, oci::Digest::Parse(absl::StrCat("sha256:", parts[1])));
  return exchanged;
}

bool LayoutIndexFile::IsHeldBack(absl::string_view name) {
  return ParseHeld(name).ok();
}

absl::Status LayoutIndexFile::CheckTime(const std::string& path,
                                        absl::Time planned) const {
  if (planned == absl::InfiniteFuture()) return absl::OkStatus();
  const absl::StatusOr<FileStat> stat = root_.Stat(path);
  if (!stat.ok()) return NotGone(stat.status());
  if (absl::ToUnixMicros(stat->modified) <= absl::ToUnixMicros(planned)) {
    return absl::OkStatus();
  }
  return absl::AbortedError(
      absl::StrCat(path_, " was written after the plan was made"));
}

absl::Status LayoutIndexFile::CheckUnwritten(absl::Time planned) const {
  RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_.Exists(path_));
  return is_there ? CheckTime(path_, planned) : absl::OkStatus();
}

absl::Status LayoutIndexFile::Change(const Edit& edit,
                                     absl::Time planned) const {
  for (int attempt = 0; attempt < kAttemptMax; ++attempt) {
    // Also what the attempt before took out of its place.
    RECLAIM_RETURN_IF_ERROR(Settle());
    RECLAIM_RETURN_IF_ERROR(CheckTime(path_, planned));
    RECLAIM_ASSIGN_OR_RETURN(const std::string before, Read());
    RECLAIM_ASSIGN_OR_RETURN(const std::string after, edit(before));
    if (after == before) return absl::OkStatus();
    const absl::Status status = NotGone(Replace(before, after, planned));
    if (absl::IsAborted(status)) continue;
    // What can't be given back now is given back by the next change or start.
    if (!status.ok()) Settle().IgnoreError();
    return status;
  }
  RECLAIM_RETURN_IF_ERROR(Settle());
  return TooBusy(path_);
}

// ABORTED if somebody wrote: what he wrote is held back until Settle().
absl::Status LayoutIndexFile::Replace(const std::string& before,
                                      const std::string& after,
                                      absl::Time planned) const {
  const Exchanged exchanged = {oci::Digest::Sha256Of(before),
                               oci::Digest::Sha256Of(after)};
  const std::string held = HeldPath(exchanged);
  RECLAIM_RETURN_IF_ERROR(root_.WriteNewLike(held, path_, after));
  RECLAIM_RETURN_IF_ERROR(Step("exchange"));
  const absl::Status done = root_.Exchange(held, path_);
  if (absl::IsUnimplemented(done)) {
    return ReplaceWithoutExchange(held, exchanged);
  }
  if (!done.ok()) {
    // Nothing has changed places: what lies there is ours.
    root_.RemoveFile(held).IgnoreError();
    return done;
  }
  RECLAIM_RETURN_IF_ERROR(Step("compare"));
  // Compared at once, for what a writer did must not be out of sight for long;
  // and once more after the disk has answered, for a writer that had opened the
  // old file writes into that one.
  for (const bool is_last : {false, true}) {
    RECLAIM_ASSIGN_OR_RETURN(const oci::Digest found, DigestOf(held));
    if (found != exchanged.before) {
      return absl::AbortedError("index.json was written meanwhile");
    }
    if (const absl::Status same = CheckTime(held, planned); !same.ok()) {
      // The same bytes written anew say that the names are to stay.
      RECLAIM_RETURN_IF_ERROR(root_.Exchange(held, path_));
      return same;
    }
    if (is_last) break;
    RECLAIM_RETURN_IF_ERROR(root_.SyncFolder(place_));
    RECLAIM_RETURN_IF_ERROR(Step("compare again"));
  }
  // Not synced: should the name come back, Settle() knows it by its bytes.
  return root_.RemoveFile(held);
}

// As near as it gets: what is written between this look and the rename is lost.
absl::Status LayoutIndexFile::ReplaceWithoutExchange(
    const std::string& held, const Exchanged& exchanged) const {
  const absl::StatusOr<oci::Digest> found = DigestOf(path_);
  if (!found.ok() || *found != exchanged.before) {
    RECLAIM_RETURN_IF_ERROR(root_.RemoveFile(held));
    return found.ok() ? absl::AbortedError("index.json was written meanwhile")
                      : found.status();
  }
  const absl::Status done = root_.Replace(held, path_);
  if (done.ok()) return root_.SyncFolder(place_);
  root_.RemoveFile(held).IgnoreError();  // ours; else a stray until Settle()
  return done;
}

// What somebody wrote goes to index.json: in the place of ours, or, if another
// one has written there since, beside what he wrote.  ABORTED: not all of it is
// where it belongs yet.
absl::Status LayoutIndexFile::GiveBack(const std::string& held,
                                       const Exchanged& exchanged) const {
  RECLAIM_ASSIGN_OR_RETURN(const oci::Digest stands, DigestOf(path_));
  RECLAIM_RETURN_IF_ERROR(Step("give back"));
  if (stands != exchanged.after) return MergeBack(held);
  const absl::Status done = root_.Exchange(held, path_);
  if (absl::IsUnimplemented(done)) return MergeBack(held);
  RECLAIM_RETURN_IF_ERROR(done);
  RECLAIM_RETURN_IF_ERROR(root_.SyncFolder(place_));
  return absl::AbortedError("what came out is ours, or a third one's");
}

// ABORTED if either was written meanwhile.
absl::Status LayoutIndexFile::MergeBack(const std::string& held) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string stands, Read());
  RECLAIM_ASSIGN_OR_RETURN(const std::string holds,
                           root_.Read(held, kIndexBytesMax));
  const absl::StatusOr<std::string> both =
      oci::MergeLayoutIndexes(stands, holds);
  if (!both.ok()) {
    return absl::UnavailableError(absl::StrCat(
        held,
        " holds what another tool wrote to index.json, and can't be put "
        "together with it (",
        both.status().message(),
        "): try again; if that does not help, put its entries into index.json "
        "and remove it"));
  }
  if (*both != stands) {
    const absl::Status done = Replace(stands, *both, absl::InfiniteFuture());
    // Another one's lies under the name that it takes: that one first.
    if (absl::IsAlreadyExists(done)) return absl::AbortedError(done.message());
    RECLAIM_RETURN_IF_ERROR(done);
  }
  RECLAIM_ASSIGN_OR_RETURN(const oci::Digest found, DigestOf(held));
  if (found != oci::Digest::Sha256Of(holds)) {
    return absl::AbortedError("written meanwhile");
  }
  RECLAIM_RETURN_IF_ERROR(root_.RemoveFile(held));
  return root_.SyncFolder(place_);
}

// Of what is held back, what others wrote; what is ours, or what ours replaced,
// goes first, for its name may be needed.
absl::StatusOr<std::vector<std::string>> LayoutIndexFile::FindTheirs() const {
  RECLAIM_RETURN_IF_ERROR(Step("settle"));
  std::vector<std::string> theirs;
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::vector<DirEntry>> entries,
                           root_.ListIfThere(place_));
  if (!entries) return theirs;
  for (const DirEntry& entry : *entries) {
    const absl::StatusOr<Exchanged> exchanged = ParseHeld(entry.name);
    if (!exchanged.ok()) continue;
    const std::string held = JoinPath(place_, entry.name);
    RECLAIM_ASSIGN_OR_RETURN(const oci::Digest holds, DigestOf(held));
    if (holds != exchanged->before && holds != exchanged->after) {
      theirs.push_back(entry.name);
      continue;
    }
    RECLAIM_RETURN_IF_ERROR(root_.RemoveFile(held));
    RECLAIM_RETURN_IF_ERROR(root_.SyncFolder(place_));
  }
  return theirs;
}

absl::Status LayoutIndexFile::Settle() const {
  for (int attempt = 0; attempt < kAttemptMax; ++attempt) {
    const absl::StatusOr<std::vector<std::string>> theirs = FindTheirs();
    if (!theirs.ok()) return NotGone(theirs.status());
    if (theirs->empty()) return absl::OkStatus();
    for (const std::string& name : *theirs) {
      RECLAIM_ASSIGN_OR_RETURN(const Exchanged exchanged, ParseHeld(name));
      const absl::Status status =
          NotGone(GiveBack(JoinPath(place_, name), exchanged));
      if (!status.ok() && !absl::IsAborted(status)) return status;
    }
  }
  return TooBusy(path_);
}

}  // namespace reclaim::store

// store/layout_index_file.h — private: changing the index.json of an image
// layout beside tools that know nothing of us.
//
// Tools read the file, change it and write it, by a rename or in place, and
// take no lock.  So a change of ours takes effect only on the very bytes that
// it was made from: the new file and the old one change places in one step,
// what came out is compared with what was read, and if somebody had written
// meanwhile, his file goes back (docs/decisions/0010 has the argument, crashes
// and third writers included).
//
// Not thread-safe: the caller changes one file at a time.

#ifndef RECLAIM_STORE_LAYOUT_INDEX_FILE_H_
#define RECLAIM_STORE_LAYOUT_INDEX_FILE_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "oci/digest.h"
#include "store/rooted_dir.h"
#include "store/types.h"

namespace reclaim::store {

class LayoutIndexFile {
 public:
  // `root` is not owned.
  LayoutIndexFile(const RootedDir* root, const Place& place)
      : root_(*root), place_(place), path_(JoinPath(place, "index.json")) {}

  // UNAVAILABLE if it is not there: that a name is gone is told by a file that
  // is.
  absl::StatusOr<std::string> Read() const;

  // Makes `after` of `before`, as what edit() makes of it.  Begins again where
  // somebody wrote; the errors of `edit` end it.  UNAVAILABLE if somebody
  // always does.
  using Edit = std::function<absl::StatusOr<std::string>(const std::string&)>;
  //
  // With `planned`: ABORTED if somebody has written it later than that, even
  // the same again.  A change of ours leaves the time as it was, so the time is
  // always that of the last writer besides us.
  absl::Status Change(const Edit& edit,
                      absl::Time planned = absl::InfiniteFuture()) const;

  // ABORTED if somebody has written it later than `planned`: it may name what
  // it did not name before.  OK if it is not there.
  absl::Status CheckUnwritten(absl::Time planned) const;

  // Gives back what an exchange that broke off has left beside index.json.
  // Call it before anything else, and before a change.
  absl::Status Settle() const;

  // Whether a file beside index.json is what an exchange keeps there: it may
  // hold names that index.json does not have.
  static bool IsHeldBack(absl::string_view name);

  // For tests: called between the steps of a change, with what comes next.  An
  // error ends the change there, as if the process had died.
  using StepHook = std::function<absl::Status(absl::string_view step)>;
  static void SetStepHookForTest(StepHook hook);

 private:
  // Of what was at index.json, and of what was put there instead.
  struct Exchanged {
    oci::Digest before;
    oci::Digest after;
  };

  absl::Status Replace(const std::string& before, const std::string& after,
                       absl::Time planned) const;
  absl::Status CheckTime(const std::string& path, absl::Time planned) const;
  absl::Status ReplaceWithoutExchange(const std::string& held,
                                      const Exchanged& exchanged) const;
  absl::Status GiveBack(const std::string& held,
                        const Exchanged& exchanged) const;
  absl::Status MergeBack(const std::string& held) const;
  absl::StatusOr<std::vector<std::string>> FindTheirs() const;
  absl::StatusOr<oci::Digest> DigestOf(const std::string& path) const;
  std::string HeldPath(const Exchanged& exchanged) const;
  static absl::StatusOr<Exchanged> ParseHeld(absl::string_view name);

  const RootedDir& root_;
  const Place place_;
  const std::string path_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_LAYOUT_INDEX_FILE_H_

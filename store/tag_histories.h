// store/tag_histories.h — private to the registry driver: which tags of a
// repository still have a manifest in their history.
//
// distribution links each manifest that a tag has ever named below the tag
// (tags/NAME/index/ALGORITHM/HEX).  These links go with the manifest, and to
// look for each manifest below each tag costs tags times manifests.  Here the
// histories of a repository are listed once, for as long as the caller asks for
// manifests of the same repository.
//
// What is remembered may be older than the tree: a link that is gone is not
// told, one that was made since Forget() may be missing.  Only a push makes
// one, and a manifest that was pushed since the plan does not go. Thread-safe.

#ifndef RECLAIM_STORE_TAG_HISTORIES_H_
#define RECLAIM_STORE_TAG_HISTORIES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "oci/digest.h"
#include "store/rooted_dir.h"

namespace reclaim::store {

class TagHistories {
 public:
  explicit TagHistories(const RootedDir* root) : root_(*root) {}

  void Forget();

  // The folders, below the root, of the links to `digest` in the histories of
  // the tags of the repository whose folder is `repository`.
  absl::StatusOr<std::vector<std::string>> Find(const std::string& repository,
                                                const oci::Digest& digest);

 private:
  absl::Status List(const std::string& repository)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ListTag(const std::string& repository, uint32_t number)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const RootedDir& root_;
  base::Mutex mutex_;
  bool is_listed_ ABSL_GUARDED_BY(mutex_) = false;
  std::string repository_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> tags_ ABSL_GUARDED_BY(mutex_);
  // By digest, the numbers in `tags_`.
  absl::flat_hash_map<oci::Digest, absl::InlinedVector<uint32_t, 2>> having_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_TAG_HISTORIES_H_

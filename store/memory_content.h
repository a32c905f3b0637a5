// store/memory_content.h — what a memory store holds, and what was done to it.
//
// Lives longer than the store over it: closing and opening a store again is a
// restart.  Others write through this face, as foreign writers do.
//
// Thread-safe.

#ifndef RECLAIM_STORE_MEMORY_CONTENT_H_
#define RECLAIM_STORE_MEMORY_CONTENT_H_

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::store {

// One thing that was done to the content, by a store or by others.
struct MemoryEffect {
  enum class Kind : uint8_t { kWritten, kQuarantined, kRestored, kPurged };
  Kind kind = Kind::kWritten;
  RunId run_id;
  Removal what;  // names the thing
};

class MemoryContent {
 public:
  // Writers from outside.  Times are theirs.
  void PutRepository(const std::string& repository, const Place& place);
  oci::Digest PutBlob(const Place& place, const std::string& bytes,
                      absl::Time modified);
  void PutTag(const std::string& repository, const std::string& tag,
              const oci::Digest& digest, absl::Time modified);
  void PutLink(const std::string& repository, const oci::Digest& digest,
               MembershipKind kind, absl::Time modified);
  void PutUpload(const std::string& repository, const std::string& id,
                 const std::string& bytes, absl::Time started);
  // Takes something away behind the service's back.
  void Remove(const Removal& what);
  // The bytes of a blob, whatever its digest says.
  void Damage(const Place& place, const oci::Digest& digest,
              const std::string& bytes);

  std::vector<MemoryEffect> Effects() const;

 private:
  friend class MemoryStore;

  // A thing by its removal, without a tag's digest: what moves to another
  // digest is the same thing.
  using Key = std::tuple<RemovalKind, Place, std::string, std::string,
                         std::string, oci::Digest>;
  struct Thing {
    std::string bytes;   // of blobs and uploads
    oci::Digest digest;  // what a tag names
    absl::Time modified;
  };
  struct Quarantined {
    Removal removal;
    Thing thing;
  };

  static Key KeyOf(const Removal& what);
  void Put(const Removal& what, Thing thing);

  mutable base::Mutex mutex_;
  std::map<std::string, Place> repositories_;
  std::map<Key, Thing> things_;
  std::map<RunId, std::map<Key, Quarantined>> quarantine_;
  std::vector<MemoryEffect> effects_;
};

// The content of `memory:NAME`: one for each name in this process.
std::shared_ptr<MemoryContent> MemoryContentOf(absl::string_view name);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_MEMORY_CONTENT_H_

// store/name_reader.h — names and links of a store, looked up one at a time.
//
// A scan reads all that there is; whoever was told that one thing has changed
// reads that one.  What is said is what the disk says at that moment.

#ifndef RECLAIM_STORE_NAME_READER_H_
#define RECLAIM_STORE_NAME_READER_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "oci/digest.h"
#include "store/scan.h"
#include "store/types.h"

namespace reclaim::store {

// Thread-safe.  Unset means that it is not there; UNAVAILABLE that it can't be
// read now (a writer may be at it: look again); INVALID_ARGUMENT that it can't
// be a name.
class NameReader {
 public:
  virtual ~NameReader() = default;
  virtual absl::StatusOr<std::optional<RepositoryFact>> FindRepository(
      const std::string& repository) const = 0;
  virtual absl::StatusOr<std::optional<TagFact>> FindTag(
      const std::string& repository, const std::string& tag) const = 0;
  virtual absl::StatusOr<std::optional<MembershipFact>> FindLink(
      const std::string& repository, const oci::Digest& digest,
      MembershipKind kind) const = 0;
  // Whether it is there and says what it should: one that a power cut has
  // emptied leads nowhere.
  virtual absl::StatusOr<bool> HoldsLink(const std::string& repository,
                                         const oci::Digest& digest,
                                         MembershipKind kind) const = 0;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_NAME_READER_H_

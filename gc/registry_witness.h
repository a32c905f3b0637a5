// gc/registry_witness.h — asking a registry itself what it believes to have.
//
// A registry may remember descriptors instead of looking at the disk; only it
// can say.  Whoever speaks HTTP provides this (rpc/registry_client.h).

#ifndef RECLAIM_GC_REGISTRY_WITNESS_H_
#define RECLAIM_GC_REGISTRY_WITNESS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "oci/digest.h"

namespace reclaim::gc {

// A conversation with one process of a registry.  When the process ends, or
// may have ended, every further answer is an error: two answers of one
// conversation come from the same memory.  Not thread-safe.
class RegistryConversation {
 public:
  virtual ~RegistryConversation() = default;
  // What the registry answers to whoever asks whether `repository` has the
  // blob.  UNAVAILABLE; PERMISSION_DENIED (it asks for credentials).
  virtual absl::StatusOr<bool> HasBlob(const std::string& repository,
                                       const oci::Digest& digest) = 0;
};

// Thread-safe.
class RegistryWitness {
 public:
  virtual ~RegistryWitness() = default;
  // `url` is "http://HOST:PORT".  INVALID_ARGUMENT, UNAVAILABLE.
  virtual absl::StatusOr<std::unique_ptr<RegistryConversation>> Open(
      const std::string& url) = 0;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_REGISTRY_WITNESS_H_

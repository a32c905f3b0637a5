// gc/cache_proof.h — private to gc: proof that a registry remembers nothing of
// what is about to be freed.
//
// With `cache: blobdescriptor`, distribution answers from memory: it goes on
// telling clients that it has what was taken away, and accepts manifests over
// it.  While bytes are in quarantine that is harmless, for such a manifest
// brings them back (I4); once they are freed it is a loss.  So in a registry
// that may have such a cache nothing is freed before it is proven that the
// cache has been empty at some time after the bytes were moved (SEMANTICS.md,
// case 119).  docs/decisions has the argument.
//
// The proof are canaries: layer links that a sweep takes away anyhow.  Before
// their batch the registry is asked for them, so that it remembers them if it
// remembers anything; after the last batch, in the same conversation, it is
// asked again.
//   "no":  it remembers nothing.  All that was moved by then may go.
//   "yes": there is a cache.  All that was moved by then may go once the
//          registry says no to every canary: then the cache has been lost.
//          That holds of a cache that forgets all or nothing, which the
//          operator must say (DescriptorCache::kMemory); one that evicts proves
//          nothing.
// Either conclusion is about what is accepted from then on.  What was accepted
// out of the memory before is on the disk by then, and a scan that began before
// may have missed it.  So it takes a later scan as well.
//
// Every such moment holds for all that had been moved by then.  A later one
// comes with each sweep, and if what is in quarantine waited for the scan after
// the latest, sweeps that come more often than such scans would put off its end
// for ever.  So each thing waits for one that no later sweep moves on
// (docs/decisions/0007-the-race.md says why two of them suffice).

#ifndef RECLAIM_GC_CACHE_PROOF_H_
#define RECLAIM_GC_CACHE_PROOF_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gc/collected_store.h"
#include "gc/plan.h"
#include "gc/records.h"
#include "gc/registry_witness.h"
#include "index/reference_graph.h"

namespace reclaim::gc {

// Whether bytes of this store may be remembered by somebody.
bool MayBeRemembered(const index::StoreRecord& store);

// What had been moved by `until` is in no cache; InfiniteFuture() where nothing
// is remembered.  A scan that frees it began after ForgottenAt() of its move.
struct Forgetting {
  absl::Time until = absl::InfinitePast();
  // The cache was lost, and with it what had been moved by this instant: of use
  // once a scan that began after the question has ended (RecordLost()).
  std::optional<absl::Time> lost;
  // Moments before `until` of which the same is known, ascending, at most two.
  std::vector<absl::Time> earlier;

  // What a scan has to come after: the first of these moments that is not
  // before `moved`.  (That of a loss is when the cache was last seen; before it
  // counts, RecordLost() has seen to a scan after the loss.)  `moved` itself
  // where nothing is remembered, and while none is known.
  absl::Time ForgottenAt(absl::Time moved) const;
};

// Asks the registry for the canaries that are out.  A registry that can't be
// asked proves nothing new.
absl::StatusOr<Forgetting> AskWhatIsForgotten(CollectedStore* site,
                                              const index::StoreRecord& store);
// Durably.  `until`: Forgetting::lost of this run; `store`: as the last scan
// has left it.
absl::Status RecordLost(CollectedStore* site, const index::StoreRecord& store,
                        absl::Time until);

// Takes back, durably, what is known of moments that the clock has not reached
// (it was set back): what is moved now would seem to lie before them.
absl::Status DropAheadOfClock(CollectedStore* site);

// The canaries of one sweep.  Errors of the registry end the proof, not the
// sweep.  Not thread-safe.
class CanaryWatch {
 public:
  // `site` is not owned.
  CanaryWatch(CollectedStore* site, const index::StoreRecord& store);

  // Before a batch moves.
  void Prime(absl::Span<const PlanItem> items);
  // After it has moved: what is in quarantine now.
  void Moved(absl::Span<const QuarantineRecord> records);
  // After the last batch: records what is proven, durably.
  absl::Status Conclude();

 private:
  CollectedStore* site_;
  const absl::Time followed_until_;                 // by the last scan
  std::unique_ptr<RegistryConversation> registry_;  // nullptr: none, or ended
  std::vector<Canary> primed_;
  std::vector<Canary> canaries_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_CACHE_PROOF_H_

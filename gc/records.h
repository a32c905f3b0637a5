// gc/records.h — plans, runs and quarantine entries in their durable form.
//
// docs/FORMAT.md is the page for people.  Pure.  Decoding errors are DATA_LOSS
// and name the record.

#ifndef RECLAIM_GC_RECORDS_H_
#define RECLAIM_GC_RECORDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gc/plan.h"
#include "gc/run.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::gc {

inline constexpr uint32_t kRecordVersion = 1;

// A plan as it is stored: its items lie in chunks beside it.
struct StoredPlan {
  Plan plan;
  std::string run_id;    // the run that applied it; "" if none has
  std::string approver;  // "" if nobody has
  absl::Time approved = absl::InfinitePast();
};

// A run as it is stored, with what a resumed one needs to know.
struct StoredRun {
  Run run;
  uint64_t next_item = 0;  // of an apply: first item that is not settled
  bool purges_immediately = false;
};

// Where an item stands between its plan and the end.  Stored: never renumber.
enum class QuarantineState : uint8_t {
  kIntended = 1,     // recorded; the move may or may not have happened
  kQuarantined = 2,  // moved
  // The store has the thing again, written by somebody else: these bytes are a
  // second copy, which goes with the next purge.
  kSuperseded = 3,
  kPurging = 4,  // no longer restorable; the bytes may or may not be there
};

struct QuarantineRecord {
  std::string run_id;
  uint64_t number = 0;  // of the item in its plan
  std::string store;
  PlanItem item;
  QuarantineState state = QuarantineState::kIntended;
  absl::Time quarantined;
  absl::Time restorable_until;
  std::string actor;
  // The running epoch once the bytes had moved: a scan of a later epoch is the
  // proof that purging asks for (I2).
  index::Epoch epoch = 0;
  store::RemovalBytes bytes;  // what purging it frees
  // What puts a named node back, and when a link was made.
  std::optional<index::NamedRecord> named;
  std::optional<absl::Time> linked;
};

// A layer link that is in quarantine and that the registry still remembers.
struct Canary {
  std::string repository;
  oci::Digest digest;
};

// What is known of a registry's cache of descriptors (gc/cache_proof.h).
struct CacheEvidence {
  // What had been moved by then is in no cache.
  absl::Time forgotten_until = absl::InfinitePast();
  // Those that the registry still remembered at `remembered`.
  std::vector<Canary> canaries;
  absl::Time remembered = absl::InfinitePast();
  // Moments before `forgotten_until` of which the same is known, ascending: at
  // most two, for others add nothing (gc/cache_proof.cc).
  std::vector<absl::Time> earlier;
};

// Encoding is INVALID_ARGUMENT for a text that is not UTF-8 and names its field
// (index/record_encoding.h).
absl::StatusOr<std::string> EncodePlan(const StoredPlan& plan);
absl::StatusOr<StoredPlan> DecodePlan(absl::string_view bytes);

absl::StatusOr<std::string> EncodeItems(absl::Span<const PlanItem> items);
absl::StatusOr<std::vector<PlanItem>> DecodeItems(absl::string_view bytes);

absl::StatusOr<std::string> EncodeRun(const StoredRun& run);
absl::StatusOr<StoredRun> DecodeRun(absl::string_view bytes);

absl::StatusOr<std::string> EncodeEvidence(const CacheEvidence& evidence);
absl::StatusOr<CacheEvidence> DecodeEvidence(absl::string_view bytes);

absl::StatusOr<std::string> EncodeQuarantine(const QuarantineRecord& record);
absl::StatusOr<QuarantineRecord> DecodeQuarantine(absl::string_view bytes);

// What puts a named record into the graph again.
index::Operation ToOperation(const index::NamedRecord& record);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_RECORDS_H_

#include "gc/own_copy.h"

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "gc/graph_changes.h"
#include "store/name_reader.h"

namespace reclaim::gc {
namespace {

// Some milliseconds for a batch of them.
constexpr uint64_t kReadBytesMax = 256 * 1024;

absl::Status NoCopy(const store::Removal& removal, absl::string_view why) {
  return absl::AlreadyExistsError(absl::StrCat(
      store::ToString(removal), " stays in quarantine: what stands in its ",
      "place is no copy of it (", why,
      "); move that away, then scan the store or restore it again"));
}

// A power cut leaves empty files, and folders without one.
absl::Status CheckOwnLink(const store::Removal& removal,
                          const store::ContentStore& store) {
  // Where links are no files, one that is there is whole.
  if (store.names() == nullptr) return absl::OkStatus();
  const absl::StatusOr<bool> holds =
      store.names()->HoldsLink(removal.repository, *removal.digest,
                               removal.kind == store::RemovalKind::kLayerLink
                                   ? store::MembershipKind::kLayer
                                   : store::MembershipKind::kRevision);
  if (holds.value_or(false)) return absl::OkStatus();
  return NoCopy(removal,
                holds.ok() ? "it names nothing" : holds.status().message());
}

}  // namespace

absl::Status CheckOwnCopy(const QuarantineRecord& record,
                          const store::ContentStore& store,
                          const store::RemovalOutcome& refused) {
  const store::Removal& removal = *record.item.removal;
  if (!IsBlob(record)) return CheckOwnLink(removal, store);
  const absl::StatusOr<store::BlobStat> stat =
      store.Stat(removal.place, *record.item.digest);
  if (!stat.ok()) return NoCopy(removal, stat.status().message());
  const uint64_t size = stat->bytes.logical_bytes;
  if (size <= kReadBytesMax) {
    const absl::Status verified =
        store.VerifyDigest(removal.place, *record.item.digest);
    return verified.ok() ? absl::OkStatus()
                         : NoCopy(removal, verified.message());
  }
  if (size == refused.quarantined_size) return absl::OkStatus();
  // One of the two is torn.  It may be the one in quarantine, whose place a
  // writer has filled since: the rare case that is worth reading it all.
  const absl::Status verified =
      store.VerifyDigest(removal.place, *record.item.digest);
  if (verified.ok()) return absl::OkStatus();
  return NoCopy(removal, absl::StrCat(size, " bytes; in quarantine are ",
                                      refused.quarantined_size));
}

absl::Status CheckWholeCopy(const QuarantineRecord& record,
                            const store::ContentStore& store) {
  const store::Removal& removal = *record.item.removal;
  // First, for an error of reading says nothing of whether it is there.
  RECLAIM_RETURN_IF_ERROR(
      store.Stat(removal.place, *record.item.digest).status());
  const absl::Status verified =
      store.VerifyDigest(removal.place, *record.item.digest);
  if (!absl::IsDataLoss(verified)) return verified;
  return NoCopy(removal, verified.message());
}

}  // namespace reclaim::gc

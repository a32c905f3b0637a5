// store/containerd_leases.h: leases as containerd gives them back, of which
// every client of it may write any.
//
// The first digit chooses: 0 a lease, 1 a resource (messages of containerd), 2
// the record of a name that we take away.

#include <cstddef>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "containerd/leases.pb.h"
#include "store/containerd_leases.h"
#include "store/types.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::store {
namespace {

using containerd_leases::Lease;
using containerd_leases::Resource;

constexpr char kSpace[] = "k8s.io";
// containerd's limit of a label, key and value together.
constexpr size_t kLabelBytesMax = 4096;

template <typename Message>
bool Read(absl::string_view bytes, Message* message) {
  return message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

void CheckLease(absl::string_view bytes) {
  Lease lease;
  if (!Read(bytes, &lease)) return;
  if (const auto expires = containerd_leases::ExpiryOf(lease)) {
    RECLAIM_CHECK(
        *expires > absl::InfinitePast() && *expires < absl::InfiniteFuture(),
        "an end is an instant");
  }
  const auto removal = containerd_leases::RecordRemoval(kSpace, lease);
  if (!removal.ok()) return;
  RECLAIM_CHECK(removal->place == kSpace &&
                    containerd_leases::SpaceOf(*removal) == kSpace,
                "what a lease holds is of its namespace");
  RECLAIM_CHECK(removal->kind == RemovalKind::kContainer ||
                    (removal->kind == RemovalKind::kTag && removal->digest),
                "and a name: of an image with what it names");
}

void CheckResource(absl::string_view bytes) {
  Resource resource;
  if (!Read(bytes, &resource)) return;
  const auto removal = containerd_leases::ResourceRemoval(kSpace, resource);
  if (!removal.ok()) return;
  RECLAIM_CHECK(containerd_leases::IsThing(*removal), "it is content");
  const auto thing = containerd_leases::ThingOf(*removal);
  RECLAIM_CHECK(thing.ok(), "what is held can be let go");
  RECLAIM_CHECK(thing->space == kSpace, "where it is held");
  // No snapshotter has a slash in its name.
  if (absl::StrContains(resource.type().substr(resource.type().find('/') + 1),
                        '/')) {
    return;
  }
  RECLAIM_CHECK(thing->type == resource.type() && thing->id == resource.id(),
                "by the same name");
}

void CheckRecord(const std::string& record) {
  for (const char* kind :
       {containerd_leases::kImage, containerd_leases::kContainer}) {
    Lease lease;
    for (const auto& [key, value] :
         containerd_leases::RecordLabels("run1", kind, record)) {
      RECLAIM_CHECK(key.size() + value.size() <= kLabelBytesMax,
                    "containerd takes each label");
      (*lease.mutable_labels())[key] = value;
    }
    const auto read = containerd_leases::RecordOf(lease);
    RECLAIM_CHECK(read.ok() && *read == record, "a record comes back");
    CheckLease(lease.SerializeAsString());
  }
}

RECLAIM_FUZZ_TARGET(containerd_lease) {
  if (input.empty()) return;
  const absl::string_view bytes = input.substr(1);
  switch (static_cast<unsigned char>(input[0]) % 3) {
    case 0:
      return CheckLease(bytes);
    case 1:
      return CheckResource(bytes);
    default:
      return CheckRecord(std::string(bytes));
  }
}

}  // namespace
}  // namespace reclaim::store

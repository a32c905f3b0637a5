#include "rpc/random_mutations.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

// So many are there at once; the oldest goes for the next.
constexpr int kLeaseCountMax = 4;
constexpr int kPinCountMax = 2;

oci::Digest D(const std::string& text) { return oci::Digest::Sha256Of(text); }

}  // namespace

v1::RecordRequest RandomMutations::Next() {
  v1::RecordRequest request;
  request.set_relaxed(true);
  const int count = 1 + Below(3);
  for (int i = 0; i < count; ++i) AddOne(&request);
  return request;
}

std::string RandomMutations::Pick(const char* kind, int count) {
  return absl::StrCat(kind, Below(count));
}

// An image is always the same bytes for the same number.
std::string RandomMutations::Image(int number) const {
  std::mt19937 shape(static_cast<uint32_t>(number));
  std::vector<oci::Digest> blobs = {D(absl::StrCat("config", number % 5))};
  const size_t count = 1 + shape() % 4;
  for (size_t i = 0; i < count; ++i) {
    blobs.push_back(D(absl::StrCat("layer", shape() % 12)));
  }
  std::sort(blobs.begin() + 1, blobs.end());
  blobs.erase(std::unique(blobs.begin() + 1, blobs.end()), blobs.end());
  return number % 4 == 3 ? store::ImageText(blobs, D(Image(number - 1)))
                         : store::ImageText(blobs);
}

std::string RandomMutations::Index(int number) const {
  return store::IndexText({D(Image(number)), D(Image(number + 2))});
}

oci::Digest RandomMutations::AnyContent() {
  switch (Below(4)) {
    case 0:
      return D(Pick("config", 5));
    case 1:
      return D(Index(Below(4)));
    case 2:
      return D(Image(Below(10)));
    default:
      return D(Pick("layer", 12));
  }
}

oci::Digest RandomMutations::AnyImage() {
  return Below(3) == 0 ? D(Index(Below(4))) : D(Image(Below(10)));
}

int64_t RandomMutations::AnyEnd() {
  return absl::ToUnixSeconds(now_) + 1 + Below(7200);
}

// Leases, pins and repositories that go are rare: a node that was there once
// has its number for ever, and who recounts after each commit goes over all.
void RandomMutations::AddOne(v1::RecordRequest* request) {
  v1::Operation* op = request->add_operations();
  const int dice = Below(144);
  if (dice < 36) return AddContent(op);
  if (dice < 48) return AddTag(op->mutable_put_tag());
  if (dice < 54) {
    op->mutable_remove_tag()->set_repository(Pick("repo", 3));
    return op->mutable_remove_tag()->set_tag(Pick("tag", 3));
  }
  if (dice < 60) return AddContainer(op->mutable_put_container());
  if (dice < 66) return AddRemoval(op->mutable_remove_named());
  if (dice < 72) return AddMember(op);
  if (dice < 84) return AddUse(request, op);
  if (dice < 86) return AddLease(request, op);
  if (dice < 87) return AddPin(request, op);
  if (dice < 93) return AddConfig(op->mutable_put_image_config());
  if (dice < 99) return AddRepository(op);
  AddRecord(op);
}

void RandomMutations::AddContent(v1::Operation* op) {
  switch (Below(6)) {
    case 0:
    case 1:
      return AddBlob(op->mutable_put_blob());
    case 2:
      return op->mutable_remove_blob()->mutable_name()->set_digest(
          AnyContent().ToString());
    case 3:
      return op->mutable_put_manifest()->set_manifest(Index(Below(4)));
    default:
      return op->mutable_put_manifest()->set_manifest(Image(Below(10)));
  }
}

void RandomMutations::AddBlob(v1::PutBlob* put) {
  put->mutable_name()->set_digest(
      D(Below(2) == 0 ? Pick("config", 5) : Pick("layer", 12)).ToString());
  put->mutable_bytes()->set_logical_bytes(static_cast<uint64_t>(Below(10'000)));
  put->mutable_bytes()->set_allocated_bytes(4096 *
                                            static_cast<uint64_t>(Below(4)));
}

void RandomMutations::AddTag(v1::PutTag* put) {
  put->set_repository(Pick("repo", 3));
  put->set_tag(Pick("tag", 3));
  put->set_digest(AnyImage().ToString());
}

// Only what is known can be used: of content, or by a tag.
void RandomMutations::AddUse(v1::RecordRequest* request, v1::Operation* op) {
  v1::Touch* touch = request->add_operations()->mutable_touch();
  touch->set_use(Below(2) == 0 ? v1::USE_KIND_STARTED : v1::USE_KIND_PULLED);
  if (Below(2) == 0) {
    AddBlob(op->mutable_put_blob());
    *touch->mutable_name() = op->put_blob().name();
    return;
  }
  AddTag(op->mutable_put_tag());
  touch->set_repository(op->put_tag().repository());
  touch->set_tag(op->put_tag().tag());
}

void RandomMutations::AddConfig(v1::PutImageConfig* put) {
  put->mutable_name()->set_digest(D(Pick("config", 5)).ToString());
  put->set_config(absl::StrCat(
      R"({"architecture":"amd64","os":"linux","config":{"Labels":{"k":")",
      Below(3), R"("}}})"));
}

void RandomMutations::AddRepository(v1::Operation* op) {
  const std::string repository = Pick("repo", 3);
  if (Below(10) == 0) {
    op->mutable_remove_repository()->set_repository(repository);
  } else {
    op->mutable_put_repository()->set_repository(repository);
  }
}

void RandomMutations::AddMember(v1::Operation* op) {
  const std::string repository = Pick("repo", 3);
  const std::string digest = AnyContent().ToString();
  const v1::MembershipKind kind =
      Below(2) == 0 ? v1::MEMBERSHIP_KIND_REVISION : v1::MEMBERSHIP_KIND_LAYER;
  if (Below(3) == 0) {
    v1::RemoveMembership* remove = op->mutable_remove_membership();
    remove->set_repository(repository);
    remove->set_digest(digest);
    return remove->set_kind(kind);
  }
  v1::PutMembership* put = op->mutable_put_membership();
  put->set_repository(repository);
  put->set_digest(digest);
  put->set_kind(kind);
}

void RandomMutations::AddLease(v1::RecordRequest* request, v1::Operation* op) {
  ++lease_count_;
  if (lease_count_ > kLeaseCountMax) {
    request->add_operations()->mutable_remove_lease()->set_id(
        absl::StrCat("lease", lease_count_ - kLeaseCountMax));
  }
  const std::string volume = Pick("volume", 3);
  const bool holds_volume = Below(4) == 0;
  if (holds_volume) {
    op->mutable_put_volume()->set_name(volume);
    op = request->add_operations();
  }
  v1::Lease* lease = op->mutable_put_lease();
  lease->set_id(absl::StrCat("lease", lease_count_));
  lease->set_is_flat(Below(3) == 0);
  if (Below(4) != 0) lease->mutable_expire_time()->set_seconds(AnyEnd());
  const int count = 1 + Below(3);
  for (int i = 0; i < count; ++i) {
    lease->add_targets()->mutable_content()->set_digest(
        AnyContent().ToString());
  }
  if (!holds_volume) return;
  v1::NamedTarget* named = lease->add_targets()->mutable_named();
  named->set_kind(v1::NODE_KIND_VOLUME);
  named->set_name(volume);
}

void RandomMutations::AddPin(v1::RecordRequest* request, v1::Operation* op) {
  ++pin_count_;
  if (pin_count_ > kPinCountMax) {
    request->add_operations()->mutable_remove_pin()->set_id(
        absl::StrCat("pin", pin_count_ - kPinCountMax));
  }
  v1::Pin* pin = op->mutable_put_pin();
  pin->set_id(absl::StrCat("pin", pin_count_));
  pin->set_reason("the auditors want it");
  pin->mutable_target()->mutable_content()->set_digest(AnyContent().ToString());
}

void RandomMutations::AddContainer(v1::PutContainer* put) {
  put->set_id(Pick("container", 4));
  put->set_name(put->id());
  put->set_state(Below(2) == 0 ? v1::CONTAINER_STATE_RUNNING
                               : v1::CONTAINER_STATE_EXITED);
  if (Below(4) == 0) {
    put->set_image_reference(
        absl::StrCat(Pick("repo", 3), ":", Pick("tag", 3)));
  } else {
    put->set_image_digest(AnyImage().ToString());
  }
  if (Below(4) == 0) put->add_mounted_image_digests(AnyImage().ToString());
  if (Below(2) == 0) {
    put->set_writable_bytes(static_cast<uint64_t>(Below(1000)));
  }
  if (Below(2) == 0) put->add_volumes(Pick("volume", 3));
  if (Below(2) == 0) put->add_networks(Pick("network", 2));
  if (Below(2) == 0) put->set_snapshot(Pick("snapshot", 4));
}

void RandomMutations::AddRemoval(v1::RemoveNamed* remove) {
  switch (Below(5)) {
    case 0:
      remove->set_kind(v1::NODE_KIND_CONTAINER);
      return remove->set_name(Pick("container", 4));
    case 1:
      remove->set_kind(v1::NODE_KIND_VOLUME);
      return remove->set_name(Pick("volume", 3));
    case 2:
      remove->set_kind(v1::NODE_KIND_SNAPSHOT);
      return remove->set_name(Pick("snapshot", 4));
    case 3:
      remove->set_kind(v1::NODE_KIND_NETWORK);
      return remove->set_name(Pick("network", 2));
    default:
      remove->set_kind(v1::NODE_KIND_BUILD_CACHE);
      return remove->set_name(Pick("cache", 3));
  }
}

void RandomMutations::AddRecord(v1::Operation* op) {
  switch (Below(5)) {
    case 0:
      op->mutable_put_volume()->set_name(Pick("volume", 3));
      op->mutable_put_volume()->set_is_anonymous(Below(2) == 0);
      return op->mutable_put_volume()->set_size_bytes(
          static_cast<uint64_t>(Below(500)));
    case 1:
      return AddSnapshot(op->mutable_put_snapshot());
    case 2:
      return AddCache(op->mutable_put_build_cache());
    case 3:
      op->mutable_put_network()->set_name(Pick("network", 2));
      return op->mutable_put_network()->set_is_predefined(Below(5) == 0);
    default:
      return AddUpload(op->mutable_put_upload());
  }
}

// One stands on the one before it, or on none.
void RandomMutations::AddSnapshot(v1::PutSnapshot* put) {
  const int number = Below(4);
  put->set_key(absl::StrCat("snapshot", number));
  if (number > 0 && Below(2) == 0) {
    put->set_parent(absl::StrCat("snapshot", number - 1));
  }
  put->set_size_bytes(static_cast<uint64_t>(Below(500)));
  if (Below(3) != 0) put->set_image_digest(AnyImage().ToString());
}

void RandomMutations::AddCache(v1::PutBuildCache* put) {
  const int number = Below(3);
  put->set_id(absl::StrCat("cache", number));
  if (number > 0 && Below(2) == 0) {
    put->set_parent(absl::StrCat("cache", number - 1));
  }
  put->set_is_in_use(Below(2) == 0);
  put->set_is_shared(Below(2) == 0);
  put->set_size_bytes(static_cast<uint64_t>(Below(500)));
  if (Below(2) == 0) put->add_layer_digests(D(Pick("layer", 12)).ToString());
}

void RandomMutations::AddUpload(v1::PutUpload* put) {
  put->set_repository(Pick("repo", 3));
  put->set_id(Pick("upload", 2));
  put->mutable_bytes()->set_logical_bytes(static_cast<uint64_t>(Below(500)));
  if (Below(2) == 0) put->mutable_expire_time()->set_seconds(AnyEnd());
}

}  // namespace reclaim::rpc

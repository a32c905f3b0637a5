#include "index/put_codec.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::index {
namespace {

std::optional<absl::Time> OptionalTime(
    bool has, const google::protobuf::Timestamp& time) {
  if (!has) return std::nullopt;
  return FromProto(time);
}

// Sizes of records that are no files: one figure, logical and allocated alike.
std::optional<store::Bytes> OptionalBytes(bool has, uint64_t bytes) {
  if (!has) return std::nullopt;
  return store::Bytes{bytes, bytes};
}

absl::Status Field(const char* field, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(field, ": ", status.message()));
}

absl::StatusOr<oci::Digest> ParseField(const char* field,
                                       const std::string& text) {
  absl::StatusOr<oci::Digest> digest = oci::Digest::Parse(text);
  if (!digest.ok()) return Field(field, digest.status());
  return digest;
}

absl::StatusOr<std::optional<oci::Digest>> OptionalDigest(
    const char* field, const std::string& text) {
  if (text.empty()) return std::optional<oci::Digest>();
  RECLAIM_ASSIGN_OR_RETURN(const oci::Digest digest, ParseField(field, text));
  return std::optional<oci::Digest>(digest);
}

template <typename Map>
Labels FromMap(const Map& map) {
  return Labels(map.begin(), map.end());
}

template <typename Repeated>
std::vector<std::string> FromList(const Repeated& list) {
  return {list.begin(), list.end()};
}

absl::StatusOr<Target> FromProto(const v1::Target& target) {
  Target out;
  if (target.has_content()) {
    RECLAIM_ASSIGN_OR_RETURN(out.content,
                             ::reclaim::index::FromProto(target.content()));
    return out;
  }
  if (!target.has_named()) {
    return absl::InvalidArgumentError("targets: neither content nor named");
  }
  RECLAIM_ASSIGN_OR_RETURN(out.kind,
                           ::reclaim::index::FromProto(target.named().kind()));
  if (IsContent(out.kind)) {
    return absl::InvalidArgumentError(
        "targets: content is named by its digest");
  }
  out.scope = target.named().scope();
  out.name = target.named().name();
  return out;
}

v1::Target ToProto(const Target& target) {
  v1::Target out;
  if (target.content) {
    *out.mutable_content() = ::reclaim::index::ToProto(*target.content);
    return out;
  }
  out.mutable_named()->set_kind(::reclaim::index::ToProto(target.kind));
  out.mutable_named()->set_scope(target.scope);
  out.mutable_named()->set_name(target.name);
  return out;
}

}  // namespace

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp out;
  const int64_t seconds = absl::ToUnixSeconds(time);
  out.set_seconds(seconds);
  out.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return out;
}

absl::Time FromProto(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

absl::StatusOr<ContentName> FromProto(const v1::ContentName& name) {
  ContentName out;
  out.store = name.store();
  out.place = name.place();
  RECLAIM_ASSIGN_OR_RETURN(out.digest, ParseField("digest", name.digest()));
  return out;
}

v1::ContentName ToProto(const ContentName& name) {
  v1::ContentName out;
  out.set_store(name.store);
  out.set_place(name.place);
  out.set_digest(name.digest.ToString());
  return out;
}

PutRepository FromProto(const v1::PutRepository& put) {
  return {put.store(), put.repository(), put.place()};
}

v1::PutRepository ToProto(const PutRepository& put) {
  v1::PutRepository out;
  out.set_store(put.store);
  out.set_repository(put.repository);
  out.set_place(put.place);
  return out;
}

absl::StatusOr<PutTag> FromProto(const v1::PutTag& put) {
  PutTag out;
  out.store = put.store();
  out.repository = put.repository();
  out.tag = put.tag();
  RECLAIM_ASSIGN_OR_RETURN(out.digest, ParseField("digest", put.digest()));
  out.media_type = put.media_type();
  out.pushed = OptionalTime(put.has_push_time(), put.push_time());
  return out;
}

v1::PutTag ToProto(const PutTag& put) {
  v1::PutTag out;
  out.set_store(put.store);
  out.set_repository(put.repository);
  out.set_tag(put.tag);
  out.set_digest(put.digest.ToString());
  out.set_media_type(put.media_type);
  if (put.pushed) *out.mutable_push_time() = ToProto(*put.pushed);
  return out;
}

absl::StatusOr<PutContainer> FromProto(const v1::PutContainer& put) {
  PutContainer out;
  out.store = put.store();
  out.id = put.id();
  out.name = put.name();
  out.state = static_cast<ContainerState>(put.state());
  out.image_reference = put.image_reference();
  RECLAIM_ASSIGN_OR_RETURN(out.image,
                           OptionalDigest("image_digest", put.image_digest()));
  out.place = put.place();
  out.command = put.command();
  out.writable = OptionalBytes(put.has_writable_bytes(), put.writable_bytes());
  out.labels = FromMap(put.labels());
  out.volumes = FromList(put.volumes());
  out.networks = FromList(put.networks());
  for (const std::string& text : put.mounted_image_digests()) {
    RECLAIM_ASSIGN_OR_RETURN(const oci::Digest digest,
                             ParseField("mounted_image_digests", text));
    out.mounted_images.push_back(digest);
  }
  out.snapshot = put.snapshot();
  out.created = OptionalTime(put.has_create_time(), put.create_time());
  out.exited = OptionalTime(put.has_exit_time(), put.exit_time());
  return out;
}

v1::PutContainer ToProto(const PutContainer& put) {
  v1::PutContainer out;
  out.set_store(put.store);
  out.set_id(put.id);
  out.set_name(put.name);
  out.set_state(static_cast<v1::ContainerState>(put.state));
  out.set_image_reference(put.image_reference);
  if (put.image) out.set_image_digest(put.image->ToString());
  out.set_place(put.place);
  out.set_command(put.command);
  if (put.writable) out.set_writable_bytes(put.writable->logical_bytes);
  out.mutable_labels()->insert(put.labels.begin(), put.labels.end());
  for (const std::string& name : put.volumes) out.add_volumes(name);
  for (const std::string& name : put.networks) out.add_networks(name);
  for (const oci::Digest& digest : put.mounted_images) {
    out.add_mounted_image_digests(digest.ToString());
  }
  out.set_snapshot(put.snapshot);
  if (put.created) *out.mutable_create_time() = ToProto(*put.created);
  if (put.exited) *out.mutable_exit_time() = ToProto(*put.exited);
  return out;
}

absl::StatusOr<PutSnapshot> FromProto(const v1::PutSnapshot& put) {
  PutSnapshot out;
  out.store = put.store();
  out.key = put.key();
  out.parent = put.parent();
  out.bytes = OptionalBytes(put.has_size_bytes(), put.size_bytes());
  out.labels = FromMap(put.labels());
  RECLAIM_ASSIGN_OR_RETURN(out.image,
                           OptionalDigest("image_digest", put.image_digest()));
  for (const std::string& text : put.unpacked_from_digests()) {
    RECLAIM_ASSIGN_OR_RETURN(const auto digest,
                             OptionalDigest("unpacked_from_digests", text));
    if (digest) out.unpacked_from.push_back(*digest);
  }
  out.place = put.place();
  out.created = OptionalTime(put.has_create_time(), put.create_time());
  return out;
}

v1::PutSnapshot ToProto(const PutSnapshot& put) {
  v1::PutSnapshot out;
  out.set_store(put.store);
  out.set_key(put.key);
  out.set_parent(put.parent);
  if (put.bytes) out.set_size_bytes(put.bytes->logical_bytes);
  out.mutable_labels()->insert(put.labels.begin(), put.labels.end());
  if (put.image) out.set_image_digest(put.image->ToString());
  for (const oci::Digest& digest : put.unpacked_from) {
    out.add_unpacked_from_digests(digest.ToString());
  }
  out.set_place(put.place);
  if (put.created) *out.mutable_create_time() = ToProto(*put.created);
  return out;
}

PutVolume FromProto(const v1::PutVolume& put) {
  PutVolume out;
  out.store = put.store();
  out.name = put.name();
  out.driver = put.driver();
  out.bytes = OptionalBytes(put.has_size_bytes(), put.size_bytes());
  out.labels = FromMap(put.labels());
  out.is_anonymous = put.is_anonymous();
  out.created = OptionalTime(put.has_create_time(), put.create_time());
  return out;
}

v1::PutVolume ToProto(const PutVolume& put) {
  v1::PutVolume out;
  out.set_store(put.store);
  out.set_name(put.name);
  out.set_driver(put.driver);
  if (put.bytes) out.set_size_bytes(put.bytes->logical_bytes);
  out.mutable_labels()->insert(put.labels.begin(), put.labels.end());
  out.set_is_anonymous(put.is_anonymous);
  if (put.created) *out.mutable_create_time() = ToProto(*put.created);
  return out;
}

PutNetwork FromProto(const v1::PutNetwork& put) {
  PutNetwork out;
  out.store = put.store();
  out.name = put.name();
  out.driver = put.driver();
  out.labels = FromMap(put.labels());
  out.is_predefined = put.is_predefined();
  out.created = OptionalTime(put.has_create_time(), put.create_time());
  return out;
}

v1::PutNetwork ToProto(const PutNetwork& put) {
  v1::PutNetwork out;
  out.set_store(put.store);
  out.set_name(put.name);
  out.set_driver(put.driver);
  out.mutable_labels()->insert(put.labels.begin(), put.labels.end());
  out.set_is_predefined(put.is_predefined);
  if (put.created) *out.mutable_create_time() = ToProto(*put.created);
  return out;
}

PutBuildCache FromProto(const v1::PutBuildCache& put) {
  PutBuildCache out;
  out.store = put.store();
  out.id = put.id();
  out.parent = put.parent();
  out.type = put.type();
  out.description = put.description();
  out.bytes = OptionalBytes(put.has_size_bytes(), put.size_bytes());
  out.is_in_use = put.is_in_use();
  out.is_shared = put.is_shared();
  out.usage_count = put.usage_count();
  out.created = OptionalTime(put.has_create_time(), put.create_time());
  out.used = OptionalTime(put.has_last_used_time(), put.last_used_time());
  return out;
}

v1::PutBuildCache ToProto(const PutBuildCache& put) {
  v1::PutBuildCache out;
  out.set_store(put.store);
  out.set_id(put.id);
  out.set_parent(put.parent);
  out.set_type(put.type);
  out.set_description(put.description);
  if (put.bytes) out.set_size_bytes(put.bytes->logical_bytes);
  out.set_is_in_use(put.is_in_use);
  out.set_is_shared(put.is_shared);
  out.set_usage_count(put.usage_count);
  if (put.created) *out.mutable_create_time() = ToProto(*put.created);
  if (put.used) *out.mutable_last_used_time() = ToProto(*put.used);
  return out;
}

PutUpload FromProto(const v1::PutUpload& put) {
  PutUpload out;
  out.store = put.store();
  out.repository = put.repository();
  out.id = put.id();
  out.bytes = {put.bytes().logical_bytes(), put.bytes().allocated_bytes()};
  out.started = OptionalTime(put.has_start_time(), put.start_time());
  out.expires = OptionalTime(put.has_expire_time(), put.expire_time());
  return out;
}

v1::PutUpload ToProto(const PutUpload& put) {
  v1::PutUpload out;
  out.set_store(put.store);
  out.set_repository(put.repository);
  out.set_id(put.id);
  out.mutable_bytes()->set_logical_bytes(put.bytes.logical_bytes);
  out.mutable_bytes()->set_allocated_bytes(put.bytes.allocated_bytes);
  if (put.started) *out.mutable_start_time() = ToProto(*put.started);
  if (put.expires) *out.mutable_expire_time() = ToProto(*put.expires);
  return out;
}

absl::StatusOr<PutLease> FromProto(const v1::Lease& lease) {
  PutLease out;
  out.store = lease.store();
  out.id = lease.id();
  out.owner = lease.owner();
  out.expires = OptionalTime(lease.has_expire_time(), lease.expire_time());
  out.is_flat = lease.is_flat();
  out.labels = FromMap(lease.labels());
  for (const v1::Target& target : lease.targets()) {
    RECLAIM_ASSIGN_OR_RETURN(Target parsed, FromProto(target));
    out.targets.push_back(std::move(parsed));
  }
  return out;
}

v1::Lease ToProto(const PutLease& put) {
  v1::Lease out;
  out.set_store(put.store);
  out.set_id(put.id);
  out.set_owner(put.owner);
  if (put.expires) *out.mutable_expire_time() = ToProto(*put.expires);
  out.set_is_flat(put.is_flat);
  out.mutable_labels()->insert(put.labels.begin(), put.labels.end());
  for (const Target& target : put.targets) {
    *out.add_targets() = ToProto(target);
  }
  return out;
}

absl::StatusOr<PutPin> FromProto(const v1::Pin& pin) {
  PutPin out;
  out.store = pin.store();
  out.id = pin.id();
  out.reason = pin.reason();
  RECLAIM_ASSIGN_OR_RETURN(out.target, FromProto(pin.target()));
  return out;
}

v1::Pin ToProto(const PutPin& put) {
  v1::Pin out;
  out.set_store(put.store);
  out.set_id(put.id);
  out.set_reason(put.reason);
  *out.mutable_target() = ToProto(put.target);
  return out;
}

v1::NodeKind ToProto(NodeKind kind) {
  const int value = static_cast<int>(kind);
  // The API numbers content from 1 and named nodes from 7 on.
  return static_cast<v1::NodeKind>(IsContent(kind) ? value + 1 : value - 9);
}

absl::StatusOr<NodeKind> FromProto(v1::NodeKind kind) {
  const int value = static_cast<int>(kind);
  if (value < v1::NODE_KIND_BLOB || value > v1::NODE_KIND_UPLOAD) {
    return absl::InvalidArgumentError("kind: not a kind of node");
  }
  return static_cast<NodeKind>(value <= v1::NODE_KIND_EXTENT ? value - 1
                                                             : value + 9);
}

}  // namespace reclaim::index

#include "index/put_codec.h"

#include <string>
#include <utility>

#include "base/status_macros.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "index/put_codec_fields.h"
#include "oci/digest.h"

namespace reclaim::index {

using namespace put_codec;  // NOLINT: the codec's own words

namespace {

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

std::string LeaseEtag(const v1::Lease& lease) {
  v1::Lease plain = lease;
  plain.clear_etag();
  plain.clear_create_time();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    // Labels are a map, which comes in any order otherwise.
    out.SetSerializationDeterministic(true);
    plain.SerializeToCodedStream(&out);
  }
  return oci::Digest::Sha256Of(bytes).Short();
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

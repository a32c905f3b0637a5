// Containers, snapshots, volumes, networks and build cache.

#include <string>
#include <utility>

#include "base/status_macros.h"
#include "index/put_codec.h"
#include "index/put_codec_fields.h"
#include "store/engine_facts.h"

namespace reclaim::index {

using namespace put_codec;  // NOLINT: the codec's own words

absl::StatusOr<PutContainer> FromProto(const v1::PutContainer& put) {
  PutContainer out;
  out.store = put.store();
  out.id = put.id();
  out.name = put.name();
  // What a later client calls a state of its own may be any use (I5).
  if (v1::ContainerState_IsValid(put.state())) {
    out.state = static_cast<ContainerState>(put.state());
  }
  out.image_reference = put.image_reference();
  RECLAIM_ASSIGN_OR_RETURN(out.image,
                           OptionalDigest("image_digest", put.image_digest()));
  out.place = put.place();
  out.command = put.command();
  out.writable = OptionalBytes(put.has_writable_bytes(), put.writable_bytes());
  out.labels = FromMap(put.labels());
  out.volumes = FromList(put.volumes());
  out.networks = FromList(put.networks());
  RECLAIM_ASSIGN_OR_RETURN(
      out.mounted_images,
      Digests("mounted_image_digests", put.mounted_image_digests()));
  for (const v1::PortMapping& port : put.ports()) {
    out.ports.push_back({port.host_ip(), port.host_port(),
                         port.container_port(), port.protocol()});
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
  for (const store::PortMapping& port : put.ports) {
    v1::PortMapping* mapping = out.add_ports();
    mapping->set_host_ip(port.host_ip);
    mapping->set_host_port(port.host_port);
    mapping->set_container_port(port.container_port);
    mapping->set_protocol(port.protocol);
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
  out.id = put.id();
  out.driver = put.driver();
  out.scope = put.scope();
  out.labels = FromMap(put.labels());
  out.is_predefined = put.is_predefined();
  out.created = OptionalTime(put.has_create_time(), put.create_time());
  return out;
}

v1::PutNetwork ToProto(const PutNetwork& put) {
  v1::PutNetwork out;
  out.set_store(put.store);
  out.set_name(put.name);
  out.set_id(put.id);
  out.set_driver(put.driver);
  out.set_scope(put.scope);
  out.mutable_labels()->insert(put.labels.begin(), put.labels.end());
  out.set_is_predefined(put.is_predefined);
  if (put.created) *out.mutable_create_time() = ToProto(*put.created);
  return out;
}

absl::StatusOr<PutBuildCache> FromProto(const v1::PutBuildCache& put) {
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
  RECLAIM_ASSIGN_OR_RETURN(out.layers,
                           Digests("layer_digests", put.layer_digests()));
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
  for (const oci::Digest& layer : put.layers) {
    out.add_layer_digests(layer.ToString());
  }
  return out;
}

}  // namespace reclaim::index

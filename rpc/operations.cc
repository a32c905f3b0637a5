#include "rpc/operations.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/put_codec.h"
#include "oci/image_config.h"
#include "rpc/lease_operations.h"
#include "rpc/operation_sizes.h"

namespace reclaim::rpc {
namespace {

using index::FromProto;
using index::Operation;

constexpr size_t kNameBytesMax = 4096;

std::optional<absl::Time> OptionalTime(
    bool has, const google::protobuf::Timestamp& time) {
  if (!has) return std::nullopt;
  return FromProto(time);
}

absl::Status CheckName(const char* field, const std::string& name) {
  if (name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": is empty"));
  }
  if (name.size() > kNameBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        field, ": has ", name.size(), " bytes, more than ", kNameBytesMax));
  }
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ": control character in \"",
                       absl::CHexEscape(name.substr(0, 100)), "\""));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<oci::Digest> ReadDigest(const std::string& text) {
  auto digest = oci::Digest::Parse(text);
  if (digest.ok()) return digest;
  return absl::Status(digest.status().code(),
                      absl::StrCat("digest: ", digest.status().message()));
}

absl::StatusOr<store::MembershipKind> ReadKind(v1::MembershipKind kind) {
  switch (kind) {
    case v1::MEMBERSHIP_KIND_REVISION:
      return store::MembershipKind::kRevision;
    case v1::MEMBERSHIP_KIND_LAYER:
      return store::MembershipKind::kLayer;
    default:
      return absl::InvalidArgumentError("kind: is not set");
  }
}

absl::StatusOr<Operation> Read(const v1::PutBlob& put) {
  index::PutBlob out;
  RECLAIM_ASSIGN_OR_RETURN(out.name, FromProto(put.name()));
  if (!put.has_bytes()) {
    return absl::InvalidArgumentError("bytes: is not set");
  }
  out.bytes = {put.bytes().logical_bytes(), put.bytes().allocated_bytes()};
  out.media_type = put.media_type();
  out.modified = OptionalTime(put.has_modify_time(), put.modify_time());
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::RemoveBlob& remove) {
  index::RemoveBlob out;
  RECLAIM_ASSIGN_OR_RETURN(out.name, FromProto(remove.name()));
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::PutManifest& put) {
  index::PutManifest out;
  if (put.manifest().size() > kManifestBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("manifest: has ", put.manifest().size(),
                     " bytes, more than ", kManifestBytesMax));
  }
  if (put.name().digest().empty()) {
    out.name.store = put.name().store();
    out.name.place = put.name().place();
    out.name.digest = oci::Digest::Sha256Of(put.manifest());
  } else {
    RECLAIM_ASSIGN_OR_RETURN(out.name, FromProto(put.name()));
  }
  out.bytes = put.manifest();
  out.media_type = put.media_type();
  if (put.has_modify_time()) {
    index::PutBlob stat;
    stat.name = out.name;
    stat.bytes = {put.manifest().size(), put.manifest().size()};
    stat.media_type = put.media_type();
    stat.modified = FromProto(put.modify_time());
    out.stat = std::move(stat);
  }
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::PutImageConfig& put) {
  index::PutImageConfig out;
  RECLAIM_ASSIGN_OR_RETURN(out.name, FromProto(put.name()));
  if (put.config().size() > kManifestBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("config: has ", put.config().size(), " bytes, more than ",
                     kManifestBytesMax));
  }
  const auto config = oci::ParseImageConfig(put.config());
  if (!config.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("config: ", config.status().message()));
  }
  out.created = config->created;
  out.os = config->os;
  out.architecture = config->architecture;
  out.variant = config->variant;
  out.labels = config->labels;
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::PutRepository& put) {
  RECLAIM_RETURN_IF_ERROR(CheckName("repository", put.repository()));
  return Operation(FromProto(put));
}

absl::StatusOr<Operation> Read(const v1::RemoveRepository& remove) {
  return Operation(
      index::RemoveRepository{remove.store(), remove.repository()});
}

absl::StatusOr<Operation> Read(const v1::PutTag& put) {
  RECLAIM_RETURN_IF_ERROR(CheckName("repository", put.repository()));
  RECLAIM_RETURN_IF_ERROR(CheckName("tag", put.tag()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutTag out, FromProto(put));
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::RemoveTag& remove) {
  return Operation(
      index::RemoveTag{remove.store(), remove.repository(), remove.tag()});
}

absl::StatusOr<Operation> Read(const v1::PutContainer& put) {
  RECLAIM_RETURN_IF_ERROR(CheckName("id", put.id()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutContainer out, FromProto(put));
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::PutSnapshot& put) {
  RECLAIM_RETURN_IF_ERROR(CheckName("key", put.key()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutSnapshot out, FromProto(put));
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::PutVolume& put) {
  RECLAIM_RETURN_IF_ERROR(CheckName("name", put.name()));
  return Operation(FromProto(put));
}

absl::StatusOr<Operation> Read(const v1::PutNetwork& put) {
  RECLAIM_RETURN_IF_ERROR(CheckName("name", put.name()));
  return Operation(FromProto(put));
}

absl::StatusOr<Operation> Read(const v1::PutBuildCache& put) {
  RECLAIM_RETURN_IF_ERROR(CheckName("id", put.id()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutBuildCache out, FromProto(put));
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::PutUpload& put) {
  RECLAIM_RETURN_IF_ERROR(CheckName("id", put.id()));
  RECLAIM_RETURN_IF_ERROR(CheckName("repository", put.repository()));
  return Operation(FromProto(put));
}

absl::StatusOr<Operation> Read(const v1::RemoveNamed& remove) {
  index::RemoveNamed out;
  out.store = remove.store();
  RECLAIM_ASSIGN_OR_RETURN(out.kind, FromProto(remove.kind()));
  // What others rely on has operations that ask for more than the role of a
  // recorder.
  if (out.kind == index::NodeKind::kLease ||
      out.kind == index::NodeKind::kPin) {
    return absl::InvalidArgumentError(
        "kind: leases and pins are removed with remove_lease and remove_pin");
  }
  out.scope = remove.scope();
  out.name = remove.name();
  return Operation(std::move(out));
}

// A batch answers without the ids that it would have made.
absl::Status CheckGiven(const std::string& id) {
  if (!id.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "id: is empty; a batch makes no ids, so give it one");
}

absl::StatusOr<Operation> Read(const v1::Lease& put) {
  RECLAIM_RETURN_IF_ERROR(CheckGiven(put.id()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutLease out, ReadLease(put));
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::RemoveLease& remove) {
  RECLAIM_RETURN_IF_ERROR(CheckGiven(remove.id()));
  RECLAIM_ASSIGN_OR_RETURN(
      index::RemoveNamed out,
      ReadRemoval(index::NodeKind::kLease, remove.store(), remove.id()));
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::Pin& put) {
  RECLAIM_RETURN_IF_ERROR(CheckGiven(put.id()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutPin out, ReadPin(put));
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::RemovePin& remove) {
  RECLAIM_RETURN_IF_ERROR(CheckGiven(remove.id()));
  RECLAIM_ASSIGN_OR_RETURN(
      index::RemoveNamed out,
      ReadRemoval(index::NodeKind::kPin, remove.store(), remove.id()));
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::Touch& touch) {
  index::Touch out;
  if (touch.tag().empty()) {
    RECLAIM_ASSIGN_OR_RETURN(out.name, FromProto(touch.name()));
  } else {
    out.name.store = touch.name().store();
    out.name.place = touch.name().place();
  }
  out.repository = touch.repository();
  out.tag = touch.tag();
  out.use = touch.use() == v1::USE_KIND_STARTED ? index::UseKind::kStarted
                                                : index::UseKind::kPulled;
  out.time = OptionalTime(touch.has_use_time(), touch.use_time());
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::PutMembership& put) {
  RECLAIM_RETURN_IF_ERROR(CheckName("repository", put.repository()));
  index::PutMembership out;
  out.store = put.store();
  out.repository = put.repository();
  RECLAIM_ASSIGN_OR_RETURN(out.digest, ReadDigest(put.digest()));
  RECLAIM_ASSIGN_OR_RETURN(out.kind, ReadKind(put.kind()));
  out.linked = OptionalTime(put.has_link_time(), put.link_time());
  return Operation(std::move(out));
}

absl::StatusOr<Operation> Read(const v1::RemoveMembership& remove) {
  index::RemoveMembership out;
  out.store = remove.store();
  out.repository = remove.repository();
  RECLAIM_ASSIGN_OR_RETURN(out.digest, ReadDigest(remove.digest()));
  RECLAIM_ASSIGN_OR_RETURN(out.kind, ReadKind(remove.kind()));
  return Operation(std::move(out));
}

// Where an operation says which store it means.
struct StoreOf {
  template <typename Put>
  auto operator()(Put& put) const -> decltype((put.store)) {
    return put.store;
  }
  template <typename Put>
  auto operator()(Put& put) const -> decltype((put.name.store)) {
    return put.name.store;
  }
};

absl::StatusOr<Operation> ReadOne(const v1::Operation& operation) {
  RECLAIM_RETURN_IF_ERROR(CheckSizes(operation));
  switch (operation.operation_case()) {
    case v1::Operation::kPutBlob:
      return Read(operation.put_blob());
    case v1::Operation::kRemoveBlob:
      return Read(operation.remove_blob());
    case v1::Operation::kPutManifest:
      return Read(operation.put_manifest());
    case v1::Operation::kPutImageConfig:
      return Read(operation.put_image_config());
    case v1::Operation::kPutRepository:
      return Read(operation.put_repository());
    case v1::Operation::kRemoveRepository:
      return Read(operation.remove_repository());
    case v1::Operation::kPutTag:
      return Read(operation.put_tag());
    case v1::Operation::kRemoveTag:
      return Read(operation.remove_tag());
    case v1::Operation::kPutContainer:
      return Read(operation.put_container());
    case v1::Operation::kPutSnapshot:
      return Read(operation.put_snapshot());
    case v1::Operation::kPutVolume:
      return Read(operation.put_volume());
    case v1::Operation::kPutNetwork:
      return Read(operation.put_network());
    case v1::Operation::kPutBuildCache:
      return Read(operation.put_build_cache());
    case v1::Operation::kPutUpload:
      return Read(operation.put_upload());
    case v1::Operation::kRemoveNamed:
      return Read(operation.remove_named());
    case v1::Operation::kTouch:
      return Read(operation.touch());
    case v1::Operation::kPutMembership:
      return Read(operation.put_membership());
    case v1::Operation::kRemoveMembership:
      return Read(operation.remove_membership());
    case v1::Operation::kPutLease:
      return Read(operation.put_lease());
    case v1::Operation::kRemoveLease:
      return Read(operation.remove_lease());
    case v1::Operation::kPutPin:
      return Read(operation.put_pin());
    case v1::Operation::kRemovePin:
      return Read(operation.remove_pin());
    case v1::Operation::OPERATION_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("no operation is set");
}

}  // namespace

void FillStore(const std::string& store, index::Mutation* mutation) {
  for (Operation& operation : mutation->operations) {
    std::string& named = std::visit(
        [](auto& op) -> std::string& { return StoreOf()(op); }, operation);
    if (named.empty()) named = store;
  }
}

bool LacksStore(const index::Mutation& mutation) {
  for (const Operation& operation : mutation.operations) {
    const std::string& named = std::visit(
        [](const auto& op) -> const std::string& { return StoreOf()(op); },
        operation);
    if (named.empty()) return true;
  }
  return false;
}

absl::Status CheckRequestId(const std::string& id) {
  if (id.size() <= kRequestIdBytesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "request_id: has ", id.size(), " bytes, more than ", kRequestIdBytesMax));
}

absl::StatusOr<index::Mutation> MakeMutation(const v1::RecordRequest& request) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  if (request.operations_size() > kOperationCountMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "operations: ", request.operations_size(), " are more than ",
        kOperationCountMax, "; send them in several requests"));
  }
  index::Mutation mutation;
  mutation.request_id = request.request_id();
  mutation.operations.reserve(static_cast<size_t>(request.operations_size()));
  for (int i = 0; i < request.operations_size(); ++i) {
    auto operation = ReadOne(request.operations(i));
    if (!operation.ok()) {
      return absl::Status(
          operation.status().code(),
          absl::StrCat("operations[", i, "]: ", operation.status().message()));
    }
    mutation.operations.push_back(*std::move(operation));
  }
  return mutation;
}

}  // namespace reclaim::rpc

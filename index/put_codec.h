// index/put_codec.h — named records as protocol messages and back.
//
// The API's messages are the durable form of named nodes as well, so that what
// a client recorded is what is kept (docs/decisions/0003-records.md).  Pure.

#ifndef RECLAIM_INDEX_PUT_CODEC_H_
#define RECLAIM_INDEX_PUT_CODEC_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"
#include "index/mutation.h"
#include "reclaim/v1/graph.pb.h"
#include "reclaim/v1/lease.pb.h"

namespace reclaim::index {

google::protobuf::Timestamp ToProto(absl::Time time);
absl::Time FromProto(const google::protobuf::Timestamp& time);

// From the API.  INVALID_ARGUMENT names the field.
absl::StatusOr<ContentName> FromProto(const v1::ContentName& name);
absl::StatusOr<PutTag> FromProto(const v1::PutTag& put);
absl::StatusOr<PutContainer> FromProto(const v1::PutContainer& put);
absl::StatusOr<PutSnapshot> FromProto(const v1::PutSnapshot& put);
absl::StatusOr<PutBuildCache> FromProto(const v1::PutBuildCache& put);
absl::StatusOr<PutLease> FromProto(const v1::Lease& lease);
absl::StatusOr<PutPin> FromProto(const v1::Pin& pin);
PutRepository FromProto(const v1::PutRepository& put);
PutVolume FromProto(const v1::PutVolume& put);
PutNetwork FromProto(const v1::PutNetwork& put);
PutUpload FromProto(const v1::PutUpload& put);

v1::ContentName ToProto(const ContentName& name);
v1::PutRepository ToProto(const PutRepository& put);
v1::PutTag ToProto(const PutTag& put);
v1::PutContainer ToProto(const PutContainer& put);
v1::PutSnapshot ToProto(const PutSnapshot& put);
v1::PutVolume ToProto(const PutVolume& put);
v1::PutNetwork ToProto(const PutNetwork& put);
v1::PutBuildCache ToProto(const PutBuildCache& put);
v1::PutUpload ToProto(const PutUpload& put);
v1::Lease ToProto(const PutLease& put);
v1::Pin ToProto(const PutPin& put);

// A fingerprint of a lease as it stands, its owner and targets among it: any
// change gives another.
std::string LeaseEtag(const v1::Lease& lease);

v1::NodeKind ToProto(NodeKind kind);
absl::StatusOr<NodeKind> FromProto(v1::NodeKind kind);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_PUT_CODEC_H_

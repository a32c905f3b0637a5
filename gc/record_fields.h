// gc/record_fields.h — private to the codecs (gc/records.h, gc/policy_codec.h):
// fields that their records share.
//
// Apart from gc/records.h, for protobuf's messages take a compiler longer than
// all else that who keeps records needs.  Pure.

#ifndef RECLAIM_GC_RECORD_FIELDS_H_
#define RECLAIM_GC_RECORD_FIELDS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "reclaim/storage/v1/collection.pb.h"
#include "store/types.h"

namespace reclaim::gc::codec {

namespace pb = ::reclaim::storage::v1;

int64_t ToMicros(absl::Time time);
absl::Time FromMicros(int64_t micros);
void ToProto(const store::Bytes& bytes, pb::ByteCounts* out);
store::Bytes FromProto(const pb::ByteCounts& bytes);
void ToProto(const store::RemovalBytes& bytes, pb::RemovalByteCounts* out);
store::RemovalBytes FromProto(const pb::RemovalByteCounts& bytes);
void ToProto(const PlanItem& item, pb::PlanItemRecord* out);
absl::StatusOr<PlanItem> FromProto(const pb::PlanItemRecord& record);
void ToProto(const PruneRequest& request, pb::PruneRequestRecord* out);
PruneRequest FromProto(const pb::PruneRequestRecord& record);
absl::Status Damaged(const char* what);
absl::Status CheckVersion(uint32_t version, const char* what);

template <typename Record>
absl::Status Parse(absl::string_view bytes, const char* what, Record* record) {
  if (record->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::OkStatus();
  }
  return Damaged(what);
}

}  // namespace reclaim::gc::codec

#endif  // RECLAIM_GC_RECORD_FIELDS_H_

// Runs and quarantine entries.

#include "gc/records.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/record_fields.h"
#include "index/put_codec.h"
#include "index/record_encoding.h"

namespace reclaim::gc {
namespace codec {

int64_t ToMicros(absl::Time time) {
  if (time == absl::InfiniteFuture()) return INT64_MAX;
  if (time == absl::InfinitePast()) return INT64_MIN;
  return absl::ToUnixMicros(time);
}

absl::Time FromMicros(int64_t micros) {
  if (micros == INT64_MAX) return absl::InfiniteFuture();
  if (micros == INT64_MIN) return absl::InfinitePast();
  return absl::FromUnixMicros(micros);
}

void ToProto(const store::Bytes& bytes, pb::ByteCounts* out) {
  out->set_logical(bytes.logical_bytes);
  out->set_allocated(bytes.allocated_bytes);
}

store::Bytes FromProto(const pb::ByteCounts& bytes) {
  return {bytes.logical(), bytes.allocated()};
}

void ToProto(const store::RemovalBytes& bytes, pb::RemovalByteCounts* out) {
  ToProto(bytes.content, out->mutable_content());
  ToProto(bytes.metadata, out->mutable_metadata());
  if (bytes.held != store::Bytes()) ToProto(bytes.held, out->mutable_held());
}

store::RemovalBytes FromProto(const pb::RemovalByteCounts& bytes) {
  return {FromProto(bytes.content()), FromProto(bytes.metadata()),
          FromProto(bytes.held())};
}

absl::Status Damaged(const char* what) {
  return absl::DataLossError(
      absl::StrCat("the record of a ", what,
                   " is damaged; move the database away, the graph is rebuilt "
                   "from the stores"));
}

absl::Status CheckVersion(uint32_t version, const char* what) {
  if (version == kRecordVersion) return absl::OkStatus();
  const std::string why = absl::StrCat(
      "the record of a ", what, " has the version ", version,
      ", this program reads ", kRecordVersion,
      "; start the version that wrote it, or move the database away");
  // One of a later version is not damaged.
  return version > kRecordVersion ? absl::FailedPreconditionError(why)
                                  : absl::DataLossError(why);
}

}  // namespace codec

namespace {

using codec::FromMicros;
using codec::FromProto;
using codec::ToMicros;
using codec::ToProto;

void ToProto(const index::NamedRecord& named, codec::pb::NamedRecord* out) {
  struct Visitor {
    codec::pb::NamedRecord* out;
    void operator()(const index::PutRepository& p) {
      *out->mutable_repository() = index::ToProto(p);
    }
    void operator()(const index::PutTag& p) {
      *out->mutable_tag() = index::ToProto(p);
    }
    void operator()(const index::PutContainer& p) {
      *out->mutable_container() = index::ToProto(p);
    }
    void operator()(const index::PutSnapshot& p) {
      *out->mutable_snapshot() = index::ToProto(p);
    }
    void operator()(const index::PutVolume& p) {
      *out->mutable_volume() = index::ToProto(p);
    }
    void operator()(const index::PutNetwork& p) {
      *out->mutable_network() = index::ToProto(p);
    }
    void operator()(const index::PutBuildCache& p) {
      *out->mutable_build_cache() = index::ToProto(p);
    }
    void operator()(const index::PutLease& p) {
      *out->mutable_lease() = index::ToProto(p);
    }
    void operator()(const index::PutPin& p) {
      *out->mutable_pin() = index::ToProto(p);
    }
    void operator()(const index::PutUpload& p) {
      *out->mutable_upload() = index::ToProto(p);
    }
  };
  std::visit(Visitor{out}, named);
}

absl::StatusOr<index::NamedRecord> NamedFrom(
    const codec::pb::NamedRecord& record) {
  using Proto = codec::pb::NamedRecord;
  switch (record.put_case()) {
    case Proto::kRepository:
      return index::NamedRecord(index::FromProto(record.repository()));
    case Proto::kTag: {
      RECLAIM_ASSIGN_OR_RETURN(auto put, index::FromProto(record.tag()));
      return index::NamedRecord(std::move(put));
    }
    case Proto::kContainer: {
      RECLAIM_ASSIGN_OR_RETURN(auto put, index::FromProto(record.container()));
      return index::NamedRecord(std::move(put));
    }
    case Proto::kSnapshot: {
      RECLAIM_ASSIGN_OR_RETURN(auto put, index::FromProto(record.snapshot()));
      return index::NamedRecord(std::move(put));
    }
    case Proto::kVolume:
      return index::NamedRecord(index::FromProto(record.volume()));
    case Proto::kNetwork:
      return index::NamedRecord(index::FromProto(record.network()));
    case Proto::kBuildCache: {
      RECLAIM_ASSIGN_OR_RETURN(auto put,
                               index::FromProto(record.build_cache()));
      return index::NamedRecord(std::move(put));
    }
    case Proto::kUpload:
      return index::NamedRecord(index::FromProto(record.upload()));
    default:
      return codec::Damaged("quarantined name");
  }
}

}  // namespace

index::Operation ToOperation(const index::NamedRecord& record) {
  return std::visit([](const auto& put) -> index::Operation { return put; },
                    record);
}

absl::StatusOr<std::string> EncodeRun(const StoredRun& stored) {
  const Run& run = stored.run;
  codec::pb::RunRecord out;
  out.set_format_version(kRecordVersion);
  out.set_id(run.id);
  out.set_kind(static_cast<uint32_t>(run.kind));
  out.set_phase(static_cast<uint32_t>(run.phase));
  out.set_store(run.store);
  out.set_plan_id(run.plan_id);
  out.set_actor(run.actor);
  out.set_epoch(run.epoch);
  out.set_started(ToMicros(run.started));
  if (run.ended != absl::InfiniteFuture()) out.set_ended(ToMicros(run.ended));
  out.set_restorable_until(ToMicros(run.restorable_until));
  out.set_done_count(run.progress.done_count);
  out.set_total_count(run.progress.total_count);
  ToProto(run.progress.done_bytes, out.mutable_done_bytes());
  ToProto(run.progress.total_bytes, out.mutable_total_bytes());
  out.set_step(run.progress.step);
  out.set_blob_count(run.blob_count);
  out.set_image_count(run.image_count);
  out.set_item_count(run.item_count);
  ToProto(run.bytes, out.mutable_bytes());
  out.set_skipped_count(run.skipped_count);
  for (const SkippedItem& item : run.skipped) {
    codec::pb::SkippedItemRecord* skipped = out.add_skipped();
    skipped->set_subject(item.subject);
    skipped->set_reason(static_cast<uint32_t>(item.reason));
    skipped->set_detail(item.detail);
  }
  for (const std::string& problem : run.problems) out.add_problems(problem);
  out.set_next_item(stored.next_item);
  out.set_purges_immediately(stored.purges_immediately);
  return index::EncodeRecord(out);
}

absl::StatusOr<StoredRun> DecodeRun(absl::string_view bytes) {
  codec::pb::RunRecord in;
  RECLAIM_RETURN_IF_ERROR(codec::Parse(bytes, "run", &in));
  RECLAIM_RETURN_IF_ERROR(codec::CheckVersion(in.format_version(), "run"));
  StoredRun stored;
  Run& run = stored.run;
  run.id = in.id();
  run.kind = static_cast<RunKind>(in.kind());
  run.phase = static_cast<RunPhase>(in.phase());
  run.store = in.store();
  run.plan_id = in.plan_id();
  run.actor = in.actor();
  run.epoch = in.epoch();
  run.started = FromMicros(in.started());
  run.ended = in.has_ended() ? FromMicros(in.ended()) : absl::InfiniteFuture();
  run.restorable_until = FromMicros(in.restorable_until());
  run.progress.done_count = in.done_count();
  run.progress.total_count = in.total_count();
  run.progress.done_bytes = FromProto(in.done_bytes());
  run.progress.total_bytes = FromProto(in.total_bytes());
  run.progress.step = in.step();
  run.blob_count = in.blob_count();
  run.image_count = in.image_count();
  run.item_count = in.item_count();
  run.bytes = FromProto(in.bytes());
  run.skipped_count = in.skipped_count();
  for (const codec::pb::SkippedItemRecord& item : in.skipped()) {
    run.skipped.push_back({item.subject(),
                           static_cast<SkipReason>(item.reason()),
                           item.detail()});
  }
  run.problems.assign(in.problems().begin(), in.problems().end());
  stored.next_item = in.next_item();
  stored.purges_immediately = in.purges_immediately();
  return stored;
}

absl::StatusOr<std::string> EncodeQuarantine(const QuarantineRecord& record) {
  codec::pb::QuarantineRecord out;
  out.set_format_version(kRecordVersion);
  out.set_run_id(record.run_id);
  out.set_number(record.number);
  out.set_store(record.store);
  ToProto(record.item, out.mutable_item());
  out.set_state(static_cast<uint32_t>(record.state));
  out.set_quarantined(ToMicros(record.quarantined));
  out.set_restorable_until(ToMicros(record.restorable_until));
  out.set_actor(record.actor);
  out.set_epoch(record.epoch);
  ToProto(record.bytes, out.mutable_bytes());
  if (record.named) ToProto(*record.named, out.mutable_named());
  if (record.linked) out.set_linked(ToMicros(*record.linked));
  return index::EncodeRecord(out);
}

absl::StatusOr<QuarantineRecord> DecodeQuarantine(absl::string_view bytes) {
  codec::pb::QuarantineRecord in;
  RECLAIM_RETURN_IF_ERROR(codec::Parse(bytes, "quarantined item", &in));
  RECLAIM_RETURN_IF_ERROR(
      codec::CheckVersion(in.format_version(), "quarantined item"));
  QuarantineRecord record;
  record.run_id = in.run_id();
  record.number = in.number();
  record.store = in.store();
  RECLAIM_ASSIGN_OR_RETURN(record.item, FromProto(in.item()));
  record.state = static_cast<QuarantineState>(in.state());
  record.quarantined = FromMicros(in.quarantined());
  record.restorable_until = FromMicros(in.restorable_until());
  record.actor = in.actor();
  record.epoch = in.epoch();
  record.bytes = FromProto(in.bytes());
  if (in.has_named()) {
    RECLAIM_ASSIGN_OR_RETURN(record.named, NamedFrom(in.named()));
  }
  if (in.has_linked()) record.linked = FromMicros(in.linked());
  return record;
}

absl::StatusOr<std::string> EncodeEvidence(const CacheEvidence& evidence) {
  codec::pb::CacheEvidenceRecord out;
  out.set_format_version(kRecordVersion);
  if (evidence.forgotten_until != absl::InfinitePast()) {
    out.set_forgotten_until(ToMicros(evidence.forgotten_until));
  }
  if (evidence.remembered != absl::InfinitePast()) {
    out.set_remembered(ToMicros(evidence.remembered));
  }
  for (const Canary& canary : evidence.canaries) {
    codec::pb::CanaryRecord* record = out.add_canaries();
    record->set_repository(canary.repository);
    record->set_digest(canary.digest.ToString());
  }
  for (const absl::Time moment : evidence.earlier) {
    out.add_earlier(ToMicros(moment));
  }
  return index::EncodeRecord(out);
}

absl::StatusOr<CacheEvidence> DecodeEvidence(absl::string_view bytes) {
  codec::pb::CacheEvidenceRecord in;
  RECLAIM_RETURN_IF_ERROR(codec::Parse(bytes, "evidence of a cache", &in));
  RECLAIM_RETURN_IF_ERROR(
      codec::CheckVersion(in.format_version(), "evidence of a cache"));
  CacheEvidence evidence;
  if (in.has_forgotten_until()) {
    evidence.forgotten_until = FromMicros(in.forgotten_until());
  }
  if (in.has_remembered()) evidence.remembered = FromMicros(in.remembered());
  for (const codec::pb::CanaryRecord& record : in.canaries()) {
    const auto digest = oci::Digest::Parse(record.digest());
    if (!digest.ok()) return codec::Damaged("evidence of a cache");
    evidence.canaries.push_back({record.repository(), *digest});
  }
  for (const int64_t moment : in.earlier()) {
    evidence.earlier.push_back(FromMicros(moment));
  }
  return evidence;
}

}  // namespace reclaim::gc

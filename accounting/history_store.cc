#include "accounting/history_store.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "reclaim/storage/v1/history.pb.h"

namespace reclaim::accounting {
namespace {

namespace pb = storage::v1;
using index::Family;

constexpr uint32_t kRecordVersion = 1;

// The rows of one resolution: NAME '/' and its number.
std::string Prefix(absl::string_view store, Resolution resolution) {
  return absl::StrCat(store, "/",
                      std::string(1, static_cast<char>(resolution)));
}

// Big-endian seconds after the prefix: keys order as times do.
std::string Key(absl::string_view store, Resolution resolution,
                absl::Time begin) {
  std::string key = Prefix(store, resolution);
  const uint64_t seconds =
      static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixSeconds(begin)));
  for (int shift = 56; shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>(seconds >> shift & 0xff));
  }
  return key;
}

void ToProto(const store::Bytes& bytes, pb::ByteCounts* out) {
  out->set_logical(bytes.logical_bytes);
  out->set_allocated(bytes.allocated_bytes);
}

store::Bytes FromProto(const pb::ByteCounts& bytes) {
  return {bytes.logical(), bytes.allocated()};
}

std::string Encode(const UsageBucket& bucket) {
  pb::UsageBucketRecord out;
  out.set_format_version(kRecordVersion);
  out.set_begin(absl::ToUnixMicros(bucket.begin));
  out.set_time(absl::ToUnixMicros(bucket.last.time));
  ToProto(bucket.last.live, out.mutable_live());
  ToProto(bucket.last.candidate, out.mutable_candidate());
  ToProto(bucket.last.quarantined, out.mutable_quarantined());
  ToProto(bucket.last.orphan, out.mutable_orphan());
  out.set_image_count(bucket.last.image_count);
  out.set_tag_count(bucket.last.tag_count);
  if (bucket.last.capacity) {
    out.set_capacity_bytes(bucket.last.capacity->capacity_bytes);
    out.set_available_bytes(bucket.last.capacity->available_bytes);
  }
  out.set_least_stored_bytes(bucket.least_stored_bytes);
  out.set_most_stored_bytes(bucket.most_stored_bytes);
  out.set_sample_count(bucket.sample_count);
  return out.SerializeAsString();
}

absl::StatusOr<UsageBucket> Decode(absl::string_view bytes) {
  pb::UsageBucketRecord in;
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      in.format_version() != kRecordVersion) {
    return absl::DataLossError(
        "a row of the usage history is damaged or of a later version");
  }
  UsageBucket bucket;
  bucket.begin = absl::FromUnixMicros(in.begin());
  bucket.last.time = absl::FromUnixMicros(in.time());
  bucket.last.live = FromProto(in.live());
  bucket.last.candidate = FromProto(in.candidate());
  bucket.last.quarantined = FromProto(in.quarantined());
  bucket.last.orphan = FromProto(in.orphan());
  bucket.last.image_count = in.image_count();
  bucket.last.tag_count = in.tag_count();
  if (in.has_capacity_bytes()) {
    bucket.last.capacity.emplace();
    bucket.last.capacity->capacity_bytes = in.capacity_bytes();
    bucket.last.capacity->available_bytes = in.available_bytes();
  }
  bucket.least_stored_bytes = in.least_stored_bytes();
  bucket.most_stored_bytes = in.most_stored_bytes();
  bucket.sample_count = in.sample_count();
  return bucket;
}

}  // namespace

absl::Status HistoryStore::AddAt(absl::string_view store, Resolution resolution,
                                 const UsageSample& sample,
                                 index::Batch* batch) {
  const std::string prefix = Prefix(store, resolution);
  const std::string key =
      Key(store, resolution, BucketOf(resolution, sample.time));
  // The clock was set back: what lies ahead was never measured.
  RECLAIM_RETURN_IF_ERROR(
      engine_->Scan(Family::kHistory, prefix, key,
                    [&](absl::string_view ahead, absl::string_view) {
                      if (ahead > key)
                        batch->Delete(Family::kHistory, std::string(ahead));
                      return true;
                    }));
  const std::string oldest =
      Key(store, resolution, sample.time - MemoryOf(resolution));
  RECLAIM_RETURN_IF_ERROR(
      engine_->Scan(Family::kHistory, prefix, "",
                    [&](absl::string_view old, absl::string_view) {
                      if (old >= oldest) return false;
                      batch->Delete(Family::kHistory, std::string(old));
                      return true;
                    }));
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> known,
                           engine_->Get(Family::kHistory, key));
  std::optional<UsageBucket> bucket;
  if (known) {
    RECLAIM_ASSIGN_OR_RETURN(bucket, Decode(*known));
  }
  batch->Put(Family::kHistory, key,
             Encode(AddSample(bucket, resolution, sample)));
  return absl::OkStatus();
}

absl::Status HistoryStore::Add(absl::string_view store,
                               const UsageSample& sample) {
  index::Batch batch;
  for (const Resolution resolution : kResolutions) {
    RECLAIM_RETURN_IF_ERROR(AddAt(store, resolution, sample, &batch));
  }
  // A power cut may cost the last samples: a gap like any other.
  return engine_->Commit(batch, index::Durability::kBuffered);
}

absl::StatusOr<std::vector<UsageBucket>> HistoryStore::List(
    absl::string_view store, Resolution resolution, absl::Time from) const {
  std::vector<UsageBucket> buckets;
  absl::Status damaged;
  RECLAIM_RETURN_IF_ERROR(engine_->Scan(
      Family::kHistory, Prefix(store, resolution), Key(store, resolution, from),
      [&](absl::string_view, absl::string_view value) {
        absl::StatusOr<UsageBucket> bucket = Decode(value);
        if (!bucket.ok()) {
          damaged = bucket.status();
          return false;
        }
        buckets.push_back(*std::move(bucket));
        return true;
      }));
  RECLAIM_RETURN_IF_ERROR(damaged);
  return buckets;
}

}  // namespace reclaim::accounting

#include "store/section_scan.h"

#include <algorithm>
#include <thread>

#include "base/status_macros.h"
#include "base/utf8.h"

namespace reclaim::store {
namespace {

bool IsNames(SectionKind kind) { return kind != SectionKind::kBlobs; }

// Mixes well enough for a sum of a few of them to be told apart (splitmix64).
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

bool MayLeadOn(FileType type) {
  return type == FileType::kLink || type == FileType::kOther;
}

absl::Status NotLookedInto() {
  return absl::FailedPreconditionError(
      "a link or special file where a folder belongs; where it leads to is "
      "not looked at: put the folder itself there, or remove it");
}

absl::Status CheckIsText(const std::string& name) {
  if (base::IsUtf8(name)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "a name that is not UTF-8, which can't be recorded; rename it or remove "
      "it");
}

absl::Status SectionScan::Open(StoreKind kind) {
  RECLAIM_RETURN_IF_ERROR(root_->CheckInPlace());
  memo_ = ScanMemo::Open(*root_, kind, request_);
  return memo_.status();
}

absl::Status SectionScan::Deliver(ScanBatch batch) {
  base::MutexLock lock(&delivery_);
  return sink_->Accept(std::move(batch));
}

absl::Status SectionScan::RunAll(const std::vector<Work>& work) {
  std::atomic<size_t> next{0};
  base::Mutex failed_mutex;
  absl::Status failed;
  const auto run = [&] {
    for (size_t i = next++; i < work.size(); i = next++) {
      const absl::Status status =
          sink_->IsCancelled() ? absl::CancelledError("the scan was cancelled")
                               : work[i]();
      if (status.ok()) continue;
      base::MutexLock lock(&failed_mutex);
      failed.Update(status);
      next = work.size();
      return;
    }
  };
  const size_t thread_count = std::min<size_t>(
      static_cast<size_t>(std::max(request_.thread_count, 1)), work.size());
  std::vector<std::thread> threads;
  for (size_t i = 1; i < thread_count; ++i) threads.emplace_back(run);
  run();
  for (std::thread& thread : threads) thread.join();
  return failed;
}

bool SectionScan::IsUnchanged(const std::vector<SectionReport>& names,
                              SectionMark* mark) {
  base::MutexLock lock(&mutex_);
  return std::all_of(names.begin(), names.end(),
                     [&](const SectionReport& name) {
                       if (IsNames(name.kind) && request_.must_list_names)
                         return false;
                       return !request_.must_list.contains(name.key()) &&
                              memo_->Knows(name.key(), mark->Signature());
                     });
}

absl::Status SectionScan::Finish(std::vector<SectionReport> names,
                                 SectionMark* mark, const absl::Status& status,
                                 ScanBatch batch) {
  const bool is_plain = status.ok() && batch.strays.empty() &&
                        batch.problems.empty() && mark->IsSettled(request_.now);
  for (SectionReport& name : names) {
    name.state =
        status.ok() ? SectionState::kListed : SectionState::kUnreadable;
    name.error = status;
    if (is_plain) {
      base::MutexLock lock(&mutex_);
      memo_->Remember(name.key(), mark->Signature());
    }
    ++section_count_;
    batch.sections.push_back(std::move(name));
  }
  return Deliver(std::move(batch));
}

absl::Status SectionScan::FinishUnchanged(std::vector<SectionReport> names,
                                          SectionMark* mark) {
  ScanBatch batch;
  for (SectionReport& name : names) {
    name.state = SectionState::kUnchanged;
    {
      base::MutexLock lock(&mutex_);
      memo_->Remember(name.key(), mark->Signature());
    }
    ++section_count_;
    ++unchanged_count_;
    batch.sections.push_back(std::move(name));
  }
  return Deliver(std::move(batch));
}

absl::Status SectionScan::ListBlobs(const BlobSection& section,
                                    SectionMark* mark) {
  ScanBatch batch;
  const absl::Status status = section.list(mark, &batch);
  return Finish({section.name}, mark, status, std::move(batch));
}

absl::Status SectionScan::LookAtBlobs(const BlobSection& section) {
  SectionMark mark;
  const absl::Status looked = section.look(&mark);
  if (!looked.ok()) return Finish({section.name}, &mark, looked, {});
  if (!IsUnchanged({section.name}, &mark)) return ListBlobs(section, &mark);
  base::MutexLock lock(&mutex_);
  unchanged_.emplace_back(section, mark.Signature());
  return absl::OkStatus();
}

uint64_t SectionScan::LinkPrint() const {
  uint64_t print = 0;
  for (const auto& [extent, names] : extents_) {
    if (names.found_count >= names.link_count) continue;
    print += Mix(extent.inode ^ Mix(extent.device ^ Mix(names.link_count) ^
                                    (names.found_count << 32)));
  }
  return print;
}

absl::Status SectionScan::ScanBlobs(std::vector<BlobSection> sections) {
  std::vector<Work> work;
  for (const BlobSection& section : sections) {
    work.push_back([this, &section] { return LookAtBlobs(section); });
  }
  RECLAIM_RETURN_IF_ERROR(RunAll(work));
  work.clear();
  if (LinkPrint() != memo_->link_print()) {
    // The other names of some file may lie in a section that looks unchanged.
    for (const auto& entry : unchanged_) {
      work.push_back([this, &section = entry.first] {
        SectionMark mark;
        const absl::Status looked = section.look(&mark);
        return looked.ok() ? ListBlobs(section, &mark)
                           : Finish({section.name}, &mark, looked, {});
      });
    }
    RECLAIM_RETURN_IF_ERROR(RunAll(work));
    memo_->set_link_print(LinkPrint());
    return absl::OkStatus();
  }
  ScanBatch batch;
  for (auto& [section, signature] : unchanged_) {
    section.name.state = SectionState::kUnchanged;
    memo_->Remember(section.name.key(), signature);
    batch.sections.push_back(std::move(section.name));
  }
  section_count_ += batch.sections.size();
  unchanged_count_ += batch.sections.size();
  return batch.sections.empty() ? absl::OkStatus() : Deliver(std::move(batch));
}

void SectionScan::AddBlob(const Place& place, const oci::Digest& digest,
                          const FileStat& stat, SectionMark* mark,
                          ScanBatch* batch) {
  BlobFact fact;
  fact.place = place;
  fact.digest = digest;
  fact.stat.bytes = stat.bytes;
  fact.stat.modified = stat.modified;
  mark->NoteTimes(stat);
  // A registry makes the file of a manifest before it writes it.
  static const oci::Digest kEmpty = oci::Digest::Sha256Of("");
  if (stat.bytes.logical_bytes == 0 && digest != kEmpty) mark->Doubt();
  if (stat.link_count > 1) {
    mark->Doubt();
    fact.stat.extent = Extent{stat.device, stat.inode};
    fact.stat.link_count = stat.link_count;
    base::MutexLock lock(&mutex_);
    Names& names = extents_[*fact.stat.extent];
    names.link_count = stat.link_count;
    ++names.found_count;
  }
  batch->blobs.push_back(std::move(fact));
}

void SectionScan::AddStray(const std::string& path, const std::string& why,
                           ScanBatch* batch) const {
  StrayFact stray;
  stray.path = path;
  stray.why = why;
  const absl::StatusOr<FileStat> stat = root_->Stat(path);
  if (stat.ok() && stat->type == FileType::kFile) stray.bytes = stat->bytes;
  batch->strays.push_back(std::move(stray));
}

absl::StatusOr<ScanResult> SectionScan::Result() {
  // What was listed was perhaps the old tree, half of it deleted.
  RECLAIM_RETURN_IF_ERROR(root_->CheckInPlace());
  ScanResult result;
  result.memo = memo_->Serialize();
  result.section_count = section_count_;
  result.unchanged_section_count = unchanged_count_;
  return result;
}

}  // namespace reclaim::store

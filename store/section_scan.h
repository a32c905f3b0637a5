// store/section_scan.h — private: how a scan of any layout goes about it.
//
// A layout says what its sections are and how to look at each; the rest is
// here: threads, cancelling, delivery, and the memo.  Blobs come first and as a
// whole, then names: what a name leads to was there when the name was read, or
// the reader of manifests finds it.
//
// Hard links are the one thing that no folder tells of: making a second name
// for a file changes the file and the folder of the new name, not the folder of
// the old one.  So sections with files of several names are always listed, and
// when these lead to names that were not among them, other than last time, then
// every section of blobs is listed.

#ifndef RECLAIM_STORE_SECTION_SCAN_H_
#define RECLAIM_STORE_SECTION_SCAN_H_

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "store/rooted_dir.h"
#include "store/scan.h"
#include "store/scan_memo.h"
#include "store/types.h"

namespace reclaim::store {

class SectionScan {
 public:
  // None is owned.
  SectionScan(const RootedDir* root, const ScanRequest* request, ScanSink* sink)
      : root_(root), request_(*request), sink_(sink) {}

  absl::Status Open(StoreKind kind);

  // One section of blobs: look() marks it and returns an error if it can't be
  // looked at; list() fills the batch.
  struct BlobSection {
    SectionReport name;
    std::function<absl::Status(SectionMark*)> look;
    std::function<absl::Status(SectionMark*, ScanBatch*)> list;
  };
  absl::Status ScanBlobs(std::vector<BlobSection> sections);

  // Sections of names: each looks at everything anyway, so it builds its batch
  // and ends with Finish().
  using Work = std::function<absl::Status()>;
  absl::Status RunAll(const std::vector<Work>& work);

  // Whether the memo knows these sections by this mark, and may be believed.
  bool IsUnchanged(const std::vector<SectionReport>& names, SectionMark* mark);
  // Reports sections that were listed, with their facts.
  absl::Status Finish(std::vector<SectionReport> names, SectionMark* mark,
                      const absl::Status& status, ScanBatch batch);
  absl::Status FinishUnchanged(std::vector<SectionReport> names,
                               SectionMark* mark);

  // A blob, with what the mark has to know of its file.
  void AddBlob(const Place& place, const oci::Digest& digest,
               const FileStat& stat, SectionMark* mark, ScanBatch* batch);
  void AddStray(const std::string& path, const std::string& why,
                ScanBatch* batch) const;
  absl::Status Deliver(ScanBatch batch);

  // UNAVAILABLE if the root was replaced since Open().
  absl::StatusOr<ScanResult> Result();

 private:
  absl::Status LookAtBlobs(const BlobSection& section);
  absl::Status ListBlobs(const BlobSection& section, SectionMark* mark);
  uint64_t LinkPrint() const;

  const RootedDir* root_;
  const ScanRequest& request_;
  ScanSink* sink_;
  base::Mutex delivery_;
  base::Mutex mutex_;  // guards what follows
  absl::StatusOr<ScanMemo> memo_ = absl::UnknownError("not opened");
  std::vector<std::pair<BlobSection, std::string>> unchanged_;
  struct Names {
    uint64_t link_count = 0;
    uint64_t found_count = 0;
  };
  std::map<Extent, Names> extents_;
  std::atomic<uint64_t> section_count_{0};
  std::atomic<uint64_t> unchanged_count_{0};
};

// Whether others might find a folder where we look at none: they follow links,
// and what a device or socket hides is not known.
bool MayLeadOn(FileType type);
// What to tell of it.
absl::Status NotLookedInto();

// FAILED_PRECONDITION for a name that is not UTF-8: it can't be recorded
// (base/utf8.h), so nobody would know what it keeps.
absl::Status CheckIsText(const std::string& name);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_SECTION_SCAN_H_

// store/scan_memo.h — private: what sections of a tree looked like.
//
// A memo holds a mark for each section that the next scan may skip.  A mark is
// a hash over the inode, size, modification and change times of the files and
// folders that decide what the section holds.  Change times (ctime) grow with
// every change of an inode, including renames, links and set times, and nobody
// can set them.
//
// A section has no mark, and is listed by the next scan, if one of its times is
// less than two seconds older than the scan (a later change might get the same
// time), or lies in the future, or if something in it is not as it should be:
// so what is strange is found again and again.
//
// A memo is of one layout, version and root folder, and lasts a day: what no
// time tells (docs/decisions) is seen by then.

#ifndef RECLAIM_STORE_SCAN_MEMO_H_
#define RECLAIM_STORE_SCAN_MEMO_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "oci/digest.h"
#include "store/rooted_dir.h"
#include "store/scan.h"
#include "store/types.h"

namespace reclaim::store {

class SectionMark {
 public:
  SectionMark() : hasher_(oci::DigestAlgorithm::kSha256) {}

  // What decides: a file or folder by name, or that there is none.
  void Add(absl::string_view name, const FileStat& stat);
  void AddAbsent(absl::string_view name);
  // What was looked at beside that: only its times matter.
  void NoteTimes(const FileStat& stat);
  // Something here is strange: no mark.
  void Doubt() { is_doubtful_ = true; }

  // 16 bytes.  Once, after the last Add().
  const std::string& Signature();
  bool IsSettled(absl::Time scan_begin) const;

 private:
  oci::Hasher hasher_;
  std::string signature_;
  absl::Time newest_ = absl::InfinitePast();
  bool is_doubtful_ = false;
};

// Not thread-safe.
class ScanMemo {
 public:
  // The memo of `request`, or an empty one if it is not of this tree.
  static absl::StatusOr<ScanMemo> Open(const RootedDir& root, StoreKind kind,
                                       const ScanRequest& request);

  bool Knows(uint64_t key, const std::string& signature) const;
  void Remember(uint64_t key, const std::string& signature);

  // A number for the hard links that lead out of what was listed.
  uint64_t link_print() const { return link_print_; }
  void set_link_print(uint64_t print) { link_print_ = print; }

  // What was remembered since Open().
  std::string Serialize() const;

 private:
  void Parse(absl::string_view memo, absl::Time now);

  std::string head_;  // layout, version, root
  absl::Time listed_;
  uint64_t link_print_ = 0;
  absl::flat_hash_map<uint64_t, std::string> known_;
  std::map<uint64_t, std::string> next_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_SCAN_MEMO_H_

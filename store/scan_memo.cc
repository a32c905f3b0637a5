#include "store/scan_memo.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::store {
namespace {

constexpr absl::Duration kCoarseClock = absl::Seconds(2);
constexpr absl::Duration kLifetime = absl::Hours(24);
constexpr size_t kSignatureBytes = 16;
constexpr size_t kNumberBytes = 8;

void AppendNumber(uint64_t number, std::string* out) {
  for (size_t i = 0; i < kNumberBytes; ++i) {
    out->push_back(static_cast<char>(number >> (8 * i)));
  }
}

// Takes a number off the front; false if there is none.
bool TakeNumber(absl::string_view* text, uint64_t* number) {
  if (text->size() < kNumberBytes) return false;
  *number = 0;
  for (size_t i = 0; i < kNumberBytes; ++i) {
    *number |= uint64_t{static_cast<unsigned char>((*text)[i])} << (8 * i);
  }
  text->remove_prefix(kNumberBytes);
  return true;
}

}  // namespace

void SectionMark::Add(absl::string_view name, const FileStat& stat) {
  std::string row = absl::StrCat(name.size(), ":", name, " ");
  AppendNumber(static_cast<uint64_t>(stat.type), &row);
  AppendNumber(stat.device, &row);
  AppendNumber(stat.inode, &row);
  AppendNumber(stat.bytes.logical_bytes, &row);
  AppendNumber(static_cast<uint64_t>(absl::ToUnixNanos(stat.modified)), &row);
  AppendNumber(static_cast<uint64_t>(absl::ToUnixNanos(stat.changed)), &row);
  hasher_.Update(row);
  NoteTimes(stat);
}

void SectionMark::AddAbsent(absl::string_view name) {
  hasher_.Update(absl::StrCat(name.size(), ":", name, " absent"));
}

void SectionMark::NoteTimes(const FileStat& stat) {
  newest_ = std::max({newest_, stat.modified, stat.changed});
}

const std::string& SectionMark::Signature() {
  if (signature_.empty()) {
    const oci::Digest digest = hasher_.Finish();
    signature_.assign(reinterpret_cast<const char*>(digest.bytes().data()),
                      kSignatureBytes);
  }
  return signature_;
}

bool SectionMark::IsSettled(absl::Time scan_begin) const {
  return !is_doubtful_ && newest_ + kCoarseClock < scan_begin;
}

absl::StatusOr<ScanMemo> ScanMemo::Open(const RootedDir& root, StoreKind kind,
                                        const ScanRequest& request) {
  RECLAIM_ASSIGN_OR_RETURN(const FileStat stat, root.Stat(""));
  ScanMemo memo;
  memo.head_ = "reclaim-scan-1";
  AppendNumber(static_cast<uint64_t>(kind), &memo.head_);
  AppendNumber(stat.device, &memo.head_);
  AppendNumber(stat.inode, &memo.head_);
  memo.listed_ = request.now;
  memo.Parse(request.memo, request.now);
  return memo;
}

void ScanMemo::Parse(absl::string_view memo, absl::Time now) {
  if (memo.substr(0, head_.size()) != head_) return;
  memo.remove_prefix(head_.size());
  uint64_t listed = 0;
  uint64_t link_print = 0;
  if (!TakeNumber(&memo, &listed) || !TakeNumber(&memo, &link_print)) return;
  const absl::Time time = absl::FromUnixMicros(static_cast<int64_t>(listed));
  // A clock that went back tells no ages.
  if (time > now || now - time > kLifetime) return;
  if (memo.size() % (kNumberBytes + kSignatureBytes) != 0) return;
  listed_ = time;
  link_print_ = link_print;
  uint64_t key = 0;
  while (TakeNumber(&memo, &key)) {
    known_[key] = std::string(memo.substr(0, kSignatureBytes));
    memo.remove_prefix(kSignatureBytes);
  }
}

bool ScanMemo::Knows(uint64_t key, const std::string& signature) const {
  const auto it = known_.find(key);
  return it != known_.end() && it->second == signature;
}

void ScanMemo::Remember(uint64_t key, const std::string& signature) {
  next_[key] = signature;
}

std::string ScanMemo::Serialize() const {
  std::string memo = head_;
  AppendNumber(static_cast<uint64_t>(absl::ToUnixMicros(listed_)), &memo);
  AppendNumber(link_print_, &memo);
  for (const auto& [key, signature] : next_) {
    AppendNumber(key, &memo);
    memo += signature;
  }
  return memo;
}

}  // namespace reclaim::store

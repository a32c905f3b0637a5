#include "rpc/audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/fault_point.h"
#include "base/status_macros.h"

namespace reclaim::rpc {
namespace {

std::string SegmentName(uint32_t number) {
  return absl::StrFormat("audit-%08u.log", number);
}

uint32_t SegmentNumber(const std::string& name) {
  uint32_t number = 0;
  // A name that is no number of ours sorts, and is verified, all the same.
  return absl::SimpleAtoi(name.substr(6, 8), &number) ? number : 0;
}

absl::Status Failed(absl::string_view what, const std::string& path) {
  const int error = errno;
  return absl::ErrnoToStatus(
      error, absl::StrCat(what, " the audit log ", path,
                          "; nothing is deleted while it can't be written"));
}

std::string Instant(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

std::string ItemText(const gc::DeletionRecord::Item& item) {
  // The last two words are ours, so a subject of several is plain.
  return absl::StrCat(QuotedInItem(item.subject, " "), " ",
                      gc::ToString(item.reason), " ",
                      item.bytes.allocated_bytes);
}

absl::Status WriteAll(int fd, absl::string_view bytes,
                      const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failed("cannot write", path);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

}  // namespace

std::string QuotedInItem(absl::string_view text, absl::string_view also_plain) {
  const bool is_plain = std::all_of(text.begin(), text.end(), [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::StrContains("._:/@+-", c) || absl::StrContains(also_plain, c);
  });
  if (is_plain) return std::string(text);
  return absl::StrCat("\"", absl::CEscape(text), "\"");
}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(
    const AuditOptions& options, const base::Clock* clock) {
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) {
    return absl::ErrnoToStatus(
        error.value(), absl::StrCat("cannot make the folder ", options.folder));
  }
  if (chmod(options.folder.c_str(), 0700) != 0) {
    return Failed("cannot set the mode of", options.folder);
  }
  std::unique_ptr<AuditLog> log(new AuditLog(options, clock));
  base::MutexLock lock(&log->mutex_);
  RECLAIM_RETURN_IF_ERROR(log->Begin());
  return log;
}

AuditLog::~AuditLog() {
  base::MutexLock lock(&mutex_);
  if (fd_ >= 0) close(fd_);
}

absl::Status AuditLog::Begin() {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<std::string> segments,
                           ListAuditSegments(options_.folder));
  if (segments.empty()) return OpenSegment(1, true);
  return TakeUp(segments.back());
}

// Goes on after the last good line of the newest segment.
absl::Status AuditLog::TakeUp(const std::string& segment) {
  const std::string path = options_.folder + "/" + segment;
  std::ifstream file(path, std::ios::binary);
  std::string line;
  uint64_t good_size = 0;
  bool is_torn = false;
  bool is_broken = false;
  while (std::getline(file, line)) {
    const std::optional<AuditLine> read = ReadAuditLine(line);
    is_torn = file.eof();
    if (is_torn) break;
    is_broken |= !read.has_value();
    if (read) head_ = read->head;
    good_size += line.size() + 1;
  }
  if (file.bad()) return Failed("cannot read", path);
  const uint32_t number = SegmentNumber(segment);
  if (is_broken) {
    // Left as it is, for those who look into it.
    RECLAIM_RETURN_IF_ERROR(OpenSegment(number + 1, true));
    return Write({{"event", "chain-broken"}, {"segment", segment}}, true);
  }
  RECLAIM_RETURN_IF_ERROR(OpenSegment(number, false));
  segment_size_ = good_size;
  if (!is_torn) return absl::OkStatus();
  if (ftruncate(fd_, static_cast<off_t>(good_size)) != 0) {
    return Failed("cannot cut the torn line of", path);
  }
  return Write({{"event", "torn-line-cut"}, {"segment", segment}}, true);
}

absl::Status AuditLog::OpenSegment(uint32_t number, bool is_new) {
  const std::string path = options_.folder + "/" + SegmentName(number);
  const int fd = open(
      path.c_str(),
      O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (is_new ? O_CREAT : 0),
      0600);
  if (fd < 0) return Failed("cannot open", path);
  if (is_new) {
    const int folder =
        open(options_.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool is_synced = folder >= 0 && fsync(folder) == 0;
    if (folder >= 0) close(folder);
    if (!is_synced) {
      close(fd);
      return Failed("cannot sync the folder of", path);
    }
  }
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
  segment_ = number;
  segment_size_ = 0;
  return absl::OkStatus();
}

absl::Status AuditLog::RemoveOldSegments() {
  if (options_.segment_count_max == 0) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(std::vector<std::string> segments,
                           ListAuditSegments(options_.folder));
  for (size_t i = 0; i + options_.segment_count_max < segments.size(); ++i) {
    const std::string path = options_.folder + "/" + segments[i];
    if (unlink(path.c_str()) != 0) return Failed("cannot remove", path);
  }
  return absl::OkStatus();
}

absl::Status AuditLog::Write(const AuditFields& fields, bool is_durable) {
  RECLAIM_RETURN_IF_ERROR(base::FaultPoint("audit.write"));
  const std::string path = options_.folder + "/" + SegmentName(segment_);
  AuditFields all = {{"time", Instant(clock_->Now())}};
  all.insert(all.end(), fields.begin(), fields.end());
  AuditHead head = head_;
  const std::string line = MakeAuditLine(all, &head);
  absl::Status status = WriteAll(fd_, line, path);
  if (!status.ok()) {
    // Half a line would break the chain for those that follow.
    if (ftruncate(fd_, static_cast<off_t>(segment_size_)) != 0) {
      status = Failed("cannot cut a torn line of", path);
    }
    return status;
  }
  head_ = head;
  segment_size_ += line.size();
  if (is_durable && fdatasync(fd_) != 0) return Failed("cannot sync", path);
  return absl::OkStatus();
}

absl::Status AuditLog::Append(const AuditFields& fields, bool is_durable) {
  base::MutexLock lock(&mutex_);
  if (segment_size_ >= options_.segment_bytes) {
    if (fdatasync(fd_) != 0) return Failed("cannot sync", options_.folder);
    RECLAIM_RETURN_IF_ERROR(OpenSegment(segment_ + 1, true));
    RECLAIM_RETURN_IF_ERROR(RemoveOldSegments());
  }
  return Write(fields, is_durable);
}

absl::Status AuditLog::Record(const gc::DeletionRecord& record) {
  std::vector<std::string> items;
  store::Bytes bytes;
  for (const gc::DeletionRecord::Item& item : record.items) {
    items.push_back(ItemText(item));
    bytes += item.bytes;
  }
  AuditFields fields = {{"event", gc::ToString(record.step)},
                        {"actor", record.actor},
                        {"store", record.store},
                        {"run", record.run_id},
                        {"plan", record.plan_id}};
  if (record.step == gc::DeletionStep::kQuarantine) {
    fields.emplace_back("restorable_until", Instant(record.restorable_until));
  }
  fields.emplace_back("count", absl::StrCat(items.size()));
  fields.emplace_back("bytes", absl::StrCat(bytes.allocated_bytes));
  fields.emplace_back("items", absl::StrJoin(items, kItemSeparator));
  return Append(fields, true);
}

AuditHead AuditLog::head() const {
  base::MutexLock lock(&mutex_);
  return head_;
}

absl::StatusOr<std::vector<std::string>> AuditLog::Tail(size_t limit) const {
  RECLAIM_ASSIGN_OR_RETURN(std::vector<std::string> segments,
                           ListAuditSegments(options_.folder));
  std::vector<std::string> lines;
  while (lines.size() < limit && !segments.empty()) {
    std::ifstream file(options_.folder + "/" + segments.back(),
                       std::ios::binary);
    std::deque<std::string> last;
    for (std::string line; std::getline(file, line);) {
      last.push_back(std::move(line));
      if (last.size() > limit - lines.size()) last.pop_front();
    }
    if (file.bad()) return Failed("cannot read", segments.back());
    lines.insert(lines.end(), last.rbegin(), last.rend());
    segments.pop_back();
  }
  return lines;
}

}  // namespace reclaim::rpc

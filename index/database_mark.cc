#include "index/database_mark.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "index/record_encoding.h"
#include "reclaim/storage/v1/storage.pb.h"

namespace reclaim::index {
namespace {

constexpr char kMarkKey[] = "mark";
constexpr char kHeader[] = "reclaim-mark 1\n";
constexpr size_t kBytesMax = 4096;

// All who may read hear of a doubt: it names no folder of the daemon's.
absl::string_view BaseName(const StateFile& file) {
  const absl::string_view path = file.path;
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

DatabaseMark::DatabaseMark(std::string path, Engine* engine,
                           base::RandomSource* random)
    : file_{std::move(path), "the mark of the database"},
      engine_(engine),
      random_(random) {}

absl::StatusOr<std::unique_ptr<DatabaseMark>> DatabaseMark::Open(
    std::string path, Engine* engine, base::RandomSource* random) {
  std::unique_ptr<DatabaseMark> mark(
      new DatabaseMark(std::move(path), engine, random));
  RECLAIM_RETURN_IF_ERROR(mark->ReadDatabase());
  const absl::Status read = mark->ReadFile();
  const std::string doubt =
      read.ok() ? mark->FindDoubt()
                : absl::StrCat("nobody knows whether it is the latest one: ",
                               read.message());
  mark->doubt_ =
      absl::StrReplaceAll(doubt, {{mark->file_.path, BaseName(mark->file_)}});
  // One behind the other is what a crash between the two leaves.
  mark->is_raised_ = mark->is_written_ =
      mark->doubt_.empty() && mark->in_database_ && mark->in_file_ &&
      mark->in_database_->number == mark->in_file_->number;
  return mark;
}

absl::Status DatabaseMark::ReadDatabase() {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                           engine_->Get(Family::kMeta, kMarkKey));
  if (!value) return absl::OkStatus();
  storage::v1::DatabaseMarkRecord record;
  if (!record.ParseFromString(*value)) {
    return absl::DataLossError(
        "the mark in the database is damaged; move the database away, the "
        "graph is rebuilt from the stores");
  }
  in_database_ = Mark{record.id(), record.number()};
  return absl::OkStatus();
}

absl::Status DatabaseMark::ReadFile() {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                           ReadStateFile(file_, kBytesMax));
  if (!bytes) return absl::OkStatus();
  Mark mark;
  if (!Parse(*bytes, &mark)) {
    return absl::DataLossError(
        absl::StrCat(file_.what, " ", file_.path, " is not whole"));
  }
  in_file_ = std::move(mark);
  return absl::OkStatus();
}

bool DatabaseMark::Parse(absl::string_view bytes, Mark* mark) {
  absl::string_view line = bytes;
  if (!absl::ConsumePrefix(&line, kHeader)) return false;
  const size_t end = line.find('\n');
  if (end == absl::string_view::npos) return false;
  const absl::string_view sum = line.substr(end + 1);
  line = line.substr(0, end);
  const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
  if (fields.size() != 2 || !absl::SimpleAtoi(fields[1], &mark->number)) {
    return false;
  }
  mark->id = std::string(fields[0]);
  return sum == SumLine(bytes.substr(0, bytes.size() - sum.size()));
}

std::string DatabaseMark::FindDoubt() const {
  // Before the database has a number the file has 0.
  if (in_file_ && in_file_->number == 0) return "";
  if (!in_database_) {
    if (!in_file_) return "";
    return absl::StrCat(
        "an older copy is in its place: it has no mark, and the "
        "data directory knows mark ",
        in_file_->number);
  }
  if (!in_file_) {
    return absl::StrCat("nobody knows whether it is the latest one: the file ",
                        file_.path,
                        " of the data directory, which says how far it had "
                        "come, is gone");
  }
  if (in_database_->id != in_file_->id) {
    return "another one is in its place: it is not the one that the data "
           "directory knows";
  }
  if (in_database_->number >= in_file_->number) return "";
  return absl::StrCat("an older copy is in its place: it is at mark ",
                      in_database_->number,
                      ", and the data directory knows mark ", in_file_->number);
}

std::string DatabaseMark::ToText(const Mark& mark) {
  std::string text = absl::StrCat(kHeader, mark.id, " ", mark.number, "\n");
  return text + SumLine(text);
}

absl::Status DatabaseMark::Write(const Mark& mark) {
  RECLAIM_RETURN_IF_ERROR(ReplaceStateFile(file_, ToText(mark)));
  in_file_ = mark;
  return absl::OkStatus();
}

absl::Status DatabaseMark::Raise() {
  Mark next;
  next.id = in_database_ ? in_database_->id : base::RandomId(random_);
  // A file that is not there is one that somebody took away, once the database
  // has a number.
  if (!in_database_ && !in_file_) RECLAIM_RETURN_IF_ERROR(Write(next));
  next.number = 1 + std::max(in_database_ ? in_database_->number : 0,
                             in_file_ ? in_file_->number : 0);
  storage::v1::DatabaseMarkRecord record;
  record.set_id(next.id);
  record.set_number(next.number);
  RECLAIM_ASSIGN_OR_RETURN(std::string value, EncodeRecord(record));
  Batch batch;
  batch.Put(Family::kMeta, kMarkKey, std::move(value));
  RECLAIM_RETURN_IF_ERROR(engine_->Commit(batch, Durability::kDurable));
  in_database_ = std::move(next);
  return absl::OkStatus();
}

absl::Status DatabaseMark::Advance(uint64_t commit_count) {
  if (!is_raised_ || commit_count != seen_) {
    RECLAIM_RETURN_IF_ERROR(Raise());
    is_raised_ = true;
    is_written_ = false;
    seen_ = commit_count;
  }
  if (is_written_) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(Write(*in_database_));
  is_written_ = true;
  return absl::OkStatus();
}

}  // namespace reclaim::index

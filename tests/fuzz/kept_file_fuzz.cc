// Small files of ours, of which somebody else may write, or a disk spoil, any
// byte.  The first digit chooses:
//
//   0  what is known of the clock   server/clock_keeper.h
//   1  the mark of the database     index/database_mark.h
//   2  the list of stores           rpc/store_list.h
//   3  a line of the audit          rpc/audit_chain.h
//   4  a journal of a quarantine    store/quarantine_journal.h
//   5  a note in a quarantine       store/layout_note.h
//   6  a name beside an index.json  store/layout_index_file.h
//   7  the id of a run              store/run_id.h
//
// Those that end with their digest are read with the right one as well: nobody
// guesses it.

#include <cstddef>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "base/utf8.h"
#include "index/database_mark.h"
#include "index/state_file.h"
#include "nlohmann/json.hpp"
#include "oci/digest.h"
#include "rpc/audit_chain.h"
#include "rpc/store_list.h"
#include "server/clock_keeper.h"
#include "store/layout_index_file.h"
#include "store/layout_note.h"
#include "store/quarantine_journal.h"
#include "store/run_id.h"
#include "store/types.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim {
namespace {

// A path of a file system has no more, and a longer one says nothing new.
constexpr size_t kTextBytesMax = 4096;

// One component of a path, below whatever it is put.
bool IsComponent(absl::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(absl::string_view("/\0", 2)) ==
             absl::string_view::npos;
}

bool IsBelow(absl::string_view path) {
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (!IsComponent(part)) return false;
  }
  return true;
}

void CheckClock(absl::string_view text) {
  const auto state = server::ClockKeeper::Parse(text);
  if (!state.ok()) return;
  const std::string written = server::ClockKeeper::ToText(*state);
  const auto again = server::ClockKeeper::Parse(written);
  RECLAIM_CHECK(again.ok(), "what was written is read");
  RECLAIM_CHECK(server::ClockKeeper::ToText(*again) == written,
                "and is the same");
  RECLAIM_CHECK(!state->doubt || state->doubt->lowest <= state->doubt->highest,
                "a range does not go backwards");
}

void CheckMark(absl::string_view text) {
  index::DatabaseMark::Mark mark;
  if (!index::DatabaseMark::Parse(text, &mark)) return;
  const std::string written = index::DatabaseMark::ToText(mark);
  index::DatabaseMark::Mark again;
  RECLAIM_CHECK(index::DatabaseMark::Parse(written, &again),
                "what was written is read");
  RECLAIM_CHECK(again.id == mark.id && again.number == mark.number,
                "and is the same");
}

void CheckStores(absl::string_view text) {
  const auto list = rpc::StoreList::Parse("stores", text);
  if (!list.ok()) {
    RECLAIM_CHECK(absl::StrContains(list.status().message(), "stores"),
                  "a refusal names the file");
    return;
  }
  const auto again = rpc::StoreList::Parse("stores", (*list)->text());
  RECLAIM_CHECK(again.ok(), "what was written is read");
  RECLAIM_CHECK((*again)->text() == (*list)->text(), "and is the same");
  for (const rpc::StoreSettings& store : (*list)->stores()) {
    RECLAIM_CHECK((*again)->Find(store.name).has_value(), "each by its name");
  }
}

// As a whole line, and as what comes before the digests of one.
void CheckAuditLine(absl::string_view text) {
  (void)rpc::ReadAuditLine(text);
  const std::string zeros(64, '0');
  const std::string body = absl::StrCat(text, ",\"prev\":\"", zeros, "\"");
  const auto read = rpc::ReadAuditLine(absl::StrCat(
      body, ",\"hash\":\"", oci::Digest::Sha256Of(body).hex(), "\"}"));
  RECLAIM_CHECK(
      !read || (absl::StartsWith(text, "{\"seq\":") && read->before == zeros),
      "a line begins with its number");
}

// A text as the field of a line that we make.
void CheckAuditField(const std::string& text) {
  rpc::AuditHead head = {41, oci::Digest::Sha256Of("40 lines").hex()};
  const std::string before = head.hash;
  std::string line = rpc::MakeAuditLine({{"event", text}}, &head);
  RECLAIM_CHECK(base::IsUtf8(line), "a line is text");
  RECLAIM_CHECK(line.back() == '\n', "a line has an end");
  line.pop_back();
  RECLAIM_CHECK(line.find('\n') == std::string::npos, "and only one");
  const auto read = rpc::ReadAuditLine(line);
  RECLAIM_CHECK(read && read->before == before && read->head.sequence == 42 &&
                    read->head.hash == head.hash,
                "what was written is read");
  const auto json = nlohmann::json::parse(line, nullptr, false);
  RECLAIM_CHECK(json.is_object(), "a line is JSON");
  RECLAIM_CHECK(text.empty() ? !json.contains("event")
                             : json["event"] == base::EscapeUnlessUtf8(text),
                "which says what was said");
  char& middle = line[line.size() / 2];
  middle = static_cast<char>(middle ^ 1);
  RECLAIM_CHECK(!rpc::ReadAuditLine(line), "a line that was changed is none");
}

std::string TextOf(const store::QuarantineJournal& journal) {
  std::string text;
  for (const auto& [removal, item] : journal.items) {
    text += store::JournalLine(removal, item.paths);
  }
  for (const auto& [folder, stat] : journal.folders) {
    text += store::JournalLine(folder, stat);
  }
  return text;
}

void CheckJournal(absl::string_view text) {
  store::QuarantineJournal journal;
  store::ParseJournal(text, &journal);
  for (const auto& [removal, item] : journal.items) {
    RECLAIM_CHECK(removal == item.removal, "an item lies under its removal");
    RECLAIM_CHECK(removal.kind >= store::RemovalKind::kTag &&
                      removal.kind <= store::RemovalKind::kUpload,
                  "a removal is of files");
    RECLAIM_CHECK(removal.digest.has_value() ||
                      removal.kind == store::RemovalKind::kUpload,
                  "what is no upload has a digest");
    for (const std::string& path : item.paths) {
      RECLAIM_CHECK(IsBelow(path), "what was moved came from below");
    }
  }
  for (const auto& [folder, stat] : journal.folders) {
    RECLAIM_CHECK(IsBelow(folder), "a folder is below");
    RECLAIM_CHECK(stat.mode <= 07777, "a mode has twelve bits");
  }
  const std::string written = TextOf(journal);
  store::QuarantineJournal again;
  store::ParseJournal(written, &again);
  RECLAIM_CHECK(TextOf(again) == written, "what was written is read");
}

void CheckNote(absl::string_view text) {
  const auto note = store::ParseLayoutNote(text);
  if (!note) return;
  const auto again = store::ParseLayoutNote(store::LayoutNoteText(*note));
  RECLAIM_CHECK(
      again && again->before == note->before && again->after == note->after,
      "what was written is read");
}

void CheckHeldName(absl::string_view name) {
  if (!store::LayoutIndexFile::IsHeldBack(name)) return;
  RECLAIM_CHECK(IsComponent(name), "it lies beside its index.json");
  absl::string_view rest = name;
  RECLAIM_CHECK(absl::ConsumePrefix(&rest, ".reclaim-index.json.") &&
                    absl::ConsumeSuffix(&rest, ".tmp"),
                "by its name nobody else's");
  RECLAIM_CHECK(rest.size() == 64 + 1 + 64 && rest[64] == '-',
                "and of two digests");
}

// With the digest that its file ends with, too.
void CheckSummed(void (*check)(absl::string_view), absl::string_view lines) {
  check(lines);
  check(absl::StrCat(lines, index::SumLine(lines)));
}

RECLAIM_FUZZ_TARGET(kept_file) {
  if (input.empty()) return;
  const absl::string_view text = input.substr(1);
  switch (static_cast<unsigned char>(input[0]) % 8) {
    case 0:
      return CheckSummed(CheckClock, text);
    case 1:
      return CheckSummed(CheckMark, text);
    case 2:
      return CheckSummed(CheckStores, text);
    case 3:
      CheckAuditLine(text);
      return CheckAuditField(std::string(text));
    case 4:
      return CheckJournal(text);
    case 5:
      return CheckNote(text);
    case 6:
      return CheckHeldName(text);
    default:
      RECLAIM_CHECK(text.size() > kTextBytesMax ||
                        !store::CheckRunId(std::string(text)).ok() ||
                        IsComponent(text),
                    "the id of a run is no path");
      return;
  }
}

}  // namespace
}  // namespace reclaim

// store/quarantine_journal.h — private: the journal of a run's quarantine.
//
// One JSON line for each item, with the paths that it has, and one for each
// folder that was touched, with its mode, owner and time (docs/FORMAT.md).
//
// It lies in the store, where others may write.  A line that we would not have
// written (a path that does not lead straight down, a removal of no known kind)
// says nothing: nothing is given back or freed by it, and what it may be of
// stays where it is (I5).  Pure.

#ifndef RECLAIM_STORE_QUARANTINE_JOURNAL_H_
#define RECLAIM_STORE_QUARANTINE_JOURNAL_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "store/rooted_dir.h"
#include "store/types.h"

namespace reclaim::store {

struct QuarantineJournal {
  struct Item {
    Removal removal;
    std::vector<std::string> paths;
  };
  std::map<Removal, Item> items;
  std::map<std::string, FileStat> folders;
};

std::string JournalLine(const std::string& folder, const FileStat& stat);
std::string JournalLine(const Removal& removal,
                        const std::vector<std::string>& paths);

// Adds what the lines say.  A line that is torn belongs to an item whose moves
// had not begun.
void ParseJournal(absl::string_view text, QuarantineJournal* journal);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_QUARANTINE_JOURNAL_H_

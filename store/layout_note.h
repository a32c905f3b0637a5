// store/layout_note.h — private: what undoes the edit of an index.json.
//
// A note lies beside what a run has put in quarantine (docs/FORMAT.md), in the
// store, where others may write: what is not as we write it is none.  Pure.

#ifndef RECLAIM_STORE_LAYOUT_NOTE_H_
#define RECLAIM_STORE_LAYOUT_NOTE_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace reclaim::store {

struct LayoutNote {
  std::string before;  // the file
  std::string after;   // the digest of what the edit made of it
};

// REQUIRES: both are UTF-8, as what oci::ReadJson() takes is.
std::string LayoutNoteText(const LayoutNote& note);
// Unset for what LayoutNoteText() does not write.
std::optional<LayoutNote> ParseLayoutNote(absl::string_view text);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_LAYOUT_NOTE_H_

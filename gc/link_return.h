// gc/link_return.h — private to gc: links that are in quarantine and needed.
//
// Content that several repositories share stays when one of them loses its link
// to it.  A writer who has seen that link just before may still name, in that
// repository, what is made of the content: nothing of it is in quarantine but
// the link, so the graph asks for no restore (I4).  So whoever has brought
// names into the graph looks for such links, and gives them back.

#ifndef RECLAIM_GC_LINK_RETURN_H_
#define RECLAIM_GC_LINK_RETURN_H_

#include <set>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gc/collected_store.h"
#include "gc/quarantine_index.h"
#include "index/hints.h"

namespace reclaim::gc {

// Links that must stay in quarantine.
struct HeldLinks {
  // They are needed, and something that is no link lies in their place.
  std::set<QuarantineKey> obstructed;
  // The graph knows them in their repository, and the disk does not: whoever
  // has made them anew may have deleted them since, or a crash has come between
  // what stood there and the return of these.  A scan tells which.
  std::set<QuarantineKey> in_doubt;
};

// After a scan: all of the store's.  ALREADY_EXISTS: some are obstructed, and
// the others are back.  `held`, unless it is null, says which stay.
absl::Status ReturnLinks(CollectedStore* site, absl::string_view actor,
                         HeldLinks* held = nullptr);

// After hints were followed: those to what the hints name and all that it is
// made of, in their repositories.
absl::Status ReturnLinksOf(CollectedStore* site,
                           absl::Span<const index::Hint> hints,
                           absl::string_view actor);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_LINK_RETURN_H_

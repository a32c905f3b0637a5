// index/record_decoding.h — rows out of the bytes of records, by hand.
//
// A start reads millions of records, and protobuf makes a message of each only
// to be asked for numbers.  Read here is what we write ourselves: the fields of
// docs/FORMAT.md in their order, each once.  Anything else (a field of a later
// version, the config of an image, what is damaged) is left to protobuf, so
// that there is one truth about what a record is: what is read here is read
// there in the same way (record_decoding_test, also of spoiled bytes).  Who
// adds a field adds it here, or a start is slow.
//
// Pure.

#ifndef RECLAIM_INDEX_RECORD_DECODING_H_
#define RECLAIM_INDEX_RECORD_DECODING_H_

#include "absl/strings/string_view.h"
#include "index/memberships.h"
#include "index/resident_graph.h"

namespace reclaim::index {

// False if protobuf has to read it; then `*row` is of no use.  Its lists keep
// their room.
bool DecodeRow(absl::string_view value, ContentRow* row);
bool DecodeRow(absl::string_view value, MembershipRow* row);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_RECORD_DECODING_H_

// index/record_encoding.h — a record on its way to the database.
//
// protobuf writes a `string` that is no UTF-8 and refuses to read it again: one
// such record, and the whole database counts as damaged.  So whatever is
// stored is encoded here, and what could not be read is not written: the
// mutation fails, and nothing of it is committed.  Pure.

#ifndef RECLAIM_INDEX_RECORD_ENCODING_H_
#define RECLAIM_INDEX_RECORD_ENCODING_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace reclaim::index {

// INVALID_ARGUMENT names the field, of this message or of one in it, whose text
// is not UTF-8.
absl::Status CheckTexts(const google::protobuf::Message& record);

// The bytes of a record that can be read again.
absl::StatusOr<std::string> EncodeRecord(
    const google::protobuf::Message& record);

// The same bytes for the same record, to tell whether one has changed: labels
// are a map, which comes in any order otherwise.
std::string CanonicalBytes(const google::protobuf::Message& record);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_RECORD_ENCODING_H_

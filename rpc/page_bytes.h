// rpc/page_bytes.h — how many bytes a page of a list may have.
//
// A gRPC client takes messages of 4 MiB unless it is told otherwise, and the
// rows of a page may be large: labels, names, problems.  So a page ends before
// the row that would make more than a mebibyte of it, and its token goes on
// with that row.  A row that is larger than that by itself goes alone.

#ifndef RECLAIM_RPC_PAGE_BYTES_H_
#define RECLAIM_RPC_PAGE_BYTES_H_

#include <cstddef>

#include "google/protobuf/message_lite.h"

namespace reclaim::rpc {

inline constexpr size_t kPageBytesMax = size_t{1} << 20;

class PageBytes {
 public:
  // Whether `row` belongs to this page, which then has it; the first always
  // does.  After a refusal the page is over.
  bool Take(const google::protobuf::MessageLite& row) {
    return Take(row.ByteSizeLong());
  }
  bool Take(size_t row_bytes) {
    const size_t bytes = row_bytes + kFrameBytes;
    if (has_row_ && bytes_ + bytes > kPageBytesMax) return false;
    has_row_ = true;
    bytes_ += bytes;
    return true;
  }

 private:
  // Field number and length.
  static constexpr size_t kFrameBytes = 6;
  // The page token, which may hold two names, and what else a response says.
  static constexpr size_t kReservedBytes = 16 << 10;

  size_t bytes_ = kReservedBytes;
  bool has_row_ = false;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_PAGE_BYTES_H_

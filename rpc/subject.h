// rpc/subject.h — which node a person means.
//
//   sha256:HEX, HEX       content by digest, or by 12 or more of its first
//   digits REPOSITORY:TAG        a tag; also as an image layout spells its
//   names REPOSITORY@DIGEST     content that the repository holds REPOSITORY a
//   repository KIND/NAME             container/web, volume/db, network/n,
//   snapshot/KEY,
//                         build-cache/ID, lease/ID, pin/ID, upload/REPO/ID
//
// Pure.  Long walks yield.

#ifndef RECLAIM_RPC_SUBJECT_H_
#define RECLAIM_RPC_SUBJECT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::rpc {

// NOT_FOUND; INVALID_ARGUMENT if several nodes answer to `text` (the message
// names some).  `place` narrows digests to one place; "" looks in all.
absl::StatusOr<index::NodeId> FindSubject(const index::GraphView& view,
                                          index::StoreId store,
                                          const store::Place& place,
                                          absl::string_view text);

// The content that a subject stands for: itself, or what a tag names.
// FAILED_PRECONDITION for what names no content.
absl::StatusOr<index::NodeId> FindImage(const index::GraphView& view,
                                        index::StoreId store,
                                        absl::string_view text);

// What a removal takes for `text`: where that is a digest, or 12 or more of its
// first digits, the whole digest, and for a config (Docker's image ID is the
// config's digest) that of its image.  Everything else is returned as it is,
// and so is what nothing answers to.  INVALID_ARGUMENT if several images do.
absl::StatusOr<std::string> WholeDigest(const index::GraphView& view,
                                        index::StoreId store,
                                        const std::string& text);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_SUBJECT_H_

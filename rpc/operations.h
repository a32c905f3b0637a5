// rpc/operations.h — operations of the API as mutations of the graph.
//
// Reads and checks what came in: names follow the grammars of registries,
// digests parse, required fields are there.  What has no wrong form is checked
// by the graph.  Pure.

#ifndef RECLAIM_RPC_OPERATIONS_H_
#define RECLAIM_RPC_OPERATIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "index/mutation.h"
#include "reclaim/v1/graph.pb.h"

namespace reclaim::rpc {

inline constexpr int kOperationCountMax = 10000;
inline constexpr size_t kManifestBytesMax = 4u << 20;
inline constexpr size_t kRequestIdBytesMax = 128;

// INVALID_ARGUMENT "operations[7].put_tag.digest: …".
absl::StatusOr<index::Mutation> MakeMutation(const v1::RecordRequest& request);

// Puts `store` where an operation names none.
void FillStore(const std::string& store, index::Mutation* mutation);
// Whether some operation names no store.
bool LacksStore(const index::Mutation& mutation);

absl::Status CheckRequestId(const std::string& id);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_OPERATIONS_H_

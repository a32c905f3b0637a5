// rpc/image_questions.h — history, tree and what-if of images.
//
// Thread-safe.

#ifndef RECLAIM_RPC_IMAGE_QUESTIONS_H_
#define RECLAIM_RPC_IMAGE_QUESTIONS_H_

#include "absl/status/statusor.h"
#include "reclaim/v1/usage.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// Reads the manifest and the config out of the store.
absl::StatusOr<v1::GetImageHistoryResponse> MakeImageHistory(
    const ServiceParts& parts, const v1::GetImageHistoryRequest& request);

absl::StatusOr<v1::GetTreeResponse> MakeTree(const ServiceParts& parts,
                                             const v1::GetTreeRequest& request);

absl::StatusOr<v1::WhatIfResponse> AnswerWhatIf(
    const ServiceParts& parts, const v1::WhatIfRequest& request);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_IMAGE_QUESTIONS_H_

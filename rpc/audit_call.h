// rpc/audit_call.h — what the audit log says of a call.
//
// Calls that only read leave no record.  Those that delete or administer
// (roles prune and admin) leave a durable one before they act, with what they
// ask for, and another with their outcome; those that record leave one
// afterwards, which may be lost by a power cut together with the little that
// was relaxed.  Every call that was refused for its role leaves one.

#ifndef RECLAIM_RPC_AUDIT_CALL_H_
#define RECLAIM_RPC_AUDIT_CALL_H_

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "reclaim/v1/graph.pb.h"
#include "rpc/audit_chain.h"
#include "rpc/call.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// An error: the call must not go on.
absl::Status AuditBegin(const ServiceParts& parts, const Caller& caller,
                        const Method& method);
void AuditEnd(const ServiceParts& parts, const Caller& caller,
              const Method& method, const absl::Status& status);

// The same of the leases and pins in a batch (`request`): they leave what calls
// of their own would, many to a record.  What is there about pins before they
// are applied is durable, and without it they are not.
absl::Status AuditBatchBegin(const ServiceParts& parts, const Caller& caller,
                             const char* method,
                             const v1::RecordRequest& request);
void AuditBatchEnd(const ServiceParts& parts, const Caller& caller,
                   const char* method, const v1::RecordRequest& request,
                   const absl::Status& status);

// The fields of a request that say what it is about: stores, ids, references,
// digests, flags.  Labels and bytes are never among them.
AuditFields DescribeRequest(const google::protobuf::Message& request);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_AUDIT_CALL_H_

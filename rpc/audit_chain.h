// rpc/audit_chain.h — one line of the audit log, and the chain of lines.
//
// Pure, but for VerifyChain(), which reads files.  rpc/audit_log.h has the
// format.

#ifndef RECLAIM_RPC_AUDIT_CHAIN_H_
#define RECLAIM_RPC_AUDIT_CHAIN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reclaim::rpc {

// A record's own fields, in order: names are literals, values are text.  One
// that is not UTF-8 (a certificate's name may be any bytes) stands escaped in
// its line.
using AuditFields = std::vector<std::pair<const char*, std::string>>;

struct AuditHead {
  uint64_t sequence = 0;  // of the last record; 0: there is none
  std::string hash;       // 64 hex digits; zeros before the first record
};

// What is wrong with a chain.
struct AuditFault {
  std::string segment;
  uint64_t line = 0;  // from 1
  std::string what;
};

struct AuditReport {
  uint64_t first_sequence = 0;  // later than 1 if old segments were removed
  AuditHead head;
  uint64_t record_count = 0;
  uint64_t fault_count = 0;
  std::vector<AuditFault> faults;  // the first 100
};

// The line that follows `head`, with its newline, and the new head.
std::string MakeAuditLine(const AuditFields& fields, AuditHead* head);

// The head that a line (without its newline) makes, if its own hash is right.
struct AuditLine {
  AuditHead head;
  std::string before;  // the hash that it names as the one before
};
std::optional<AuditLine> ReadAuditLine(absl::string_view line);

// Names of the segments in `folder`, ascending.
absl::StatusOr<std::vector<std::string>> ListAuditSegments(
    const std::string& folder);

// Reads every segment of a folder and follows the chain.  O(bytes).
absl::StatusOr<AuditReport> VerifyChain(const std::string& folder);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_AUDIT_CHAIN_H_

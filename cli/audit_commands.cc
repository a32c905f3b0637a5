// audit ls, audit verify.

#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/listing.h"
#include "reclaim/v1/audit.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::AuditService::Stub;

constexpr int kRecordsShown = 20;

std::unique_ptr<Stub> NewStub(Session* session) {
  return v1::AuditService::NewStub(session->channel());
}

int ListAudit(Session* session, int limit) {
  v1::ListAuditRequest request;
  request.set_limit(limit);
  v1::ListAuditResponse response;
  const int code = session->Ask(&Stub::ListAudit, NewStub(session).get(),
                                request, &response);
  if (code != kDone) return code;
  for (const std::string& record : response.records()) {
    session->out() << Safe(record) << '\n';
  }
  return kDone;
}

int VerifyAudit(Session* session) {
  v1::VerifyAuditResponse report;
  const int code = session->Ask(&Stub::VerifyAudit, NewStub(session).get(),
                                v1::VerifyAuditRequest(), &report);
  if (code != kDone) return code;
  std::ostream& out = session->out();
  out << report.record_count() << " records, " << report.first_sequence()
      << " to " << report.last_sequence() << "; the last one's hash is "
      << report.head_hash() << '\n';
  for (const v1::AuditFault& fault : report.faults()) {
    out << Safe(fault.segment()) << ':' << fault.line() << ": "
        << Safe(fault.what()) << '\n';
  }
  if (report.fault_count() == 0) return kDone;
  out << report.fault_count()
      << " faults: somebody changed the log, or the disk did\n";
  return kDamaged;
}

}  // namespace

void AddAuditCommands(Parser* app, Session* session) {
  Parser* group =
      app->Group("audit", "The record of who changed and deleted what");
  Parser* list = group->AddCommand("ls", "The newest records first");
  auto limit = std::make_shared<int>(kRecordsShown);
  list->AddOption("--limit", *limit, "How many records")
      ->Between(1, 1000)
      ->ShowDefault();
  list->OnChosen([session, limit] {
    session->chosen = [session, limit] { return ListAudit(session, *limit); };
  });
  Parser* verify = group->AddCommand(
      "verify", "Follow the chain of hashes through all of the log");
  verify->OnChosen([session] {
    session->chosen = [session] { return VerifyAudit(session); };
  });
}

}  // namespace reclaim::cli

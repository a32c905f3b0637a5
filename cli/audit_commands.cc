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

void AddAuditCommands(CLI::App* app, Session* session) {
  CLI::App* group =
      Group(app, "audit", "The record of who changed and deleted what");
  CLI::App* list = group->add_subcommand("ls", "The newest records first");
  auto limit = std::make_shared<int>(kRecordsShown);
  list->add_option("--limit", *limit, "How many records")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  list->callback([session, limit] {
    session->chosen = [session, limit] { return ListAudit(session, *limit); };
  });
  CLI::App* verify = group->add_subcommand(
      "verify", "Follow the chain of hashes through all of the log");
  verify->callback([session] {
    session->chosen = [session] { return VerifyAudit(session); };
  });
}

}  // namespace reclaim::cli

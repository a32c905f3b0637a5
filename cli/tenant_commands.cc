// tenant, quota.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/byte_size.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/message_file.h"
#include "cli/row_printer.h"
#include "cli/typed_json.h"
#include "cli/units.h"
#include "reclaim/v1/policy.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::PolicyService::Stub;

struct TenantFlags {
  std::string name;
  std::vector<std::string> repositories;
  std::vector<std::string> labels;
  std::string quota;
  std::string etag;
  std::string format;
};

std::unique_ptr<Stub> NewStub(Session* session) {
  return v1::PolicyService::NewStub(session->channel());
}

// Who wrote a tenant or a quota, and when.
template <typename Entry>
void AddOrigin(const Entry& entry, Row* row) {
  (*row)["Changed"] =
      entry.has_change_time() ? Moment(entry.change_time()) : "";
  (*row)["Actor"] = entry.is_from_file() ? "configuration" : entry.actor();
}

template <typename Entry>
int PrintStored(Session* session, const char* type, const Entry& entry) {
  session->out() << (session->json ? JsonLine(type, entry) : Safe(entry.name()))
                 << '\n';
  return kDone;
}

int ListTenants(Session* session, const TenantFlags& flags) {
  RowPrinter rows(session, "tenant", flags.format,
                  {{"NAME", "Name"},
                   {"REPOSITORIES", "Repositories"},
                   {"LABELS", "Labels"},
                   {"QUOTA", "Quota"},
                   {"CHANGED", "Changed"},
                   {"BY", "Actor"}});
  v1::ListTenantsRequest request;
  const auto stub = NewStub(session);
  do {
    v1::ListTenantsResponse page;
    const int code =
        session->Ask(&Stub::ListTenants, stub.get(), request, &page);
    if (code != kDone) return code;
    for (const v1::Tenant& tenant : page.tenants()) {
      rows.Add(tenant, [&] {
        Row row = {
            {"Name", tenant.name()},
            {"Repositories", absl::StrJoin(tenant.repositories(), " ")},
            {"Labels", absl::StrJoin(tenant.labels(), " ")},
            {"Quota",
             tenant.has_quota_bytes() ? HumanSize(tenant.quota_bytes()) : ""}};
        AddOrigin(tenant, &row);
        return row;
      });
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return rows.Finish();
}

int GetTenant(Session* session, const TenantFlags& flags) {
  v1::GetTenantRequest request;
  request.set_name(flags.name);
  v1::Tenant tenant;
  const int code =
      session->Ask(&Stub::GetTenant, NewStub(session).get(), request, &tenant);
  return code == kDone ? PrintMessage(session, tenant) : code;
}

int SetTenant(Session* session, const TenantFlags& flags) {
  v1::SetTenantRequest request;
  v1::Tenant* tenant = request.mutable_tenant();
  tenant->set_name(flags.name);
  for (const std::string& text : flags.repositories) {
    tenant->add_repositories(text);
  }
  for (const std::string& label : flags.labels) tenant->add_labels(label);
  if (!flags.quota.empty()) {
    const auto bytes = ReadSize("--quota", flags.quota);
    if (!bytes.ok()) return session->Fail(bytes.status());
    tenant->set_quota_bytes(*bytes);
  }
  request.set_etag(flags.etag);
  v1::Tenant stored;
  const int code =
      session->Ask(&Stub::SetTenant, NewStub(session).get(), request, &stored);
  return code == kDone ? PrintStored(session, "tenant", stored) : code;
}

int RemoveTenant(Session* session, const TenantFlags& flags) {
  v1::DeleteTenantRequest request;
  request.set_name(flags.name);
  request.set_etag(flags.etag);
  v1::DeleteTenantResponse none;
  return session->Ask(&Stub::DeleteTenant, NewStub(session).get(), request,
                      &none);
}

int ListQuotas(Session* session, const TenantFlags& flags) {
  RowPrinter rows(session, "repository_quota", flags.format,
                  {{"NAME", "Name"},
                   {"REPOSITORIES", "Repositories"},
                   {"LIMIT", "Limit"},
                   {"CHANGED", "Changed"},
                   {"BY", "Actor"}});
  v1::ListRepositoryQuotasRequest request;
  const auto stub = NewStub(session);
  do {
    v1::ListRepositoryQuotasResponse page;
    const int code =
        session->Ask(&Stub::ListRepositoryQuotas, stub.get(), request, &page);
    if (code != kDone) return code;
    for (const v1::RepositoryQuota& quota : page.quotas()) {
      rows.Add(quota, [&] {
        Row row = {{"Name", quota.name()},
                   {"Repositories", absl::StrJoin(quota.repositories(), " ")},
                   {"Limit", HumanSize(quota.quota_bytes())}};
        AddOrigin(quota, &row);
        return row;
      });
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return rows.Finish();
}

int GetQuota(Session* session, const TenantFlags& flags) {
  v1::GetRepositoryQuotaRequest request;
  request.set_name(flags.name);
  v1::RepositoryQuota quota;
  const int code = session->Ask(&Stub::GetRepositoryQuota,
                                NewStub(session).get(), request, &quota);
  return code == kDone ? PrintMessage(session, quota) : code;
}

int SetQuota(Session* session, const TenantFlags& flags) {
  v1::SetRepositoryQuotaRequest request;
  v1::RepositoryQuota* quota = request.mutable_quota();
  quota->set_name(flags.name);
  for (const std::string& text : flags.repositories) {
    quota->add_repositories(text);
  }
  const auto bytes = ReadSize("--limit", flags.quota);
  if (!bytes.ok()) return session->Fail(bytes.status());
  quota->set_quota_bytes(*bytes);
  request.set_etag(flags.etag);
  v1::RepositoryQuota stored;
  const int code = session->Ask(&Stub::SetRepositoryQuota,
                                NewStub(session).get(), request, &stored);
  return code == kDone ? PrintStored(session, "repository_quota", stored)
                       : code;
}

int RemoveQuota(Session* session, const TenantFlags& flags) {
  v1::DeleteRepositoryQuotaRequest request;
  request.set_name(flags.name);
  request.set_etag(flags.etag);
  v1::DeleteRepositoryQuotaResponse none;
  return session->Ask(&Stub::DeleteRepositoryQuota, NewStub(session).get(),
                      request, &none);
}

using Command = int (*)(Session*, const TenantFlags&);

// What a group of commands about one kind does.
struct Kind {
  const char* what;  // "Tenant"
  Command list;
  Command get;
  Command set;
  Command remove;
};

// Declares them; gives the flags of `set`, and its command for more.
std::pair<Parser*, std::shared_ptr<TenantFlags>> AddKind(Parser* group,
                                                         Session* session,
                                                         const Kind& kind) {
  auto flags = std::make_shared<TenantFlags>();
  const auto add = [=](const char* name, const char* help, Command command) {
    Parser* sub = group->AddCommand(name, help);
    sub->OnChosen(
        [=] { session->chosen = [=] { return command(session, *flags); }; });
    return sub;
  };
  const auto add_name = [=](Parser* command) {
    command->AddOption("name", flags->name, kind.what)->Required();
  };
  const auto add_etag = [=](Parser* command) {
    command->AddOption("--etag", flags->etag,
                       "Only if it stands as it was read");
  };
  add("ls", "List them", kind.list)
      ->AddOption("--format", flags->format, kFormatHelp);
  add_name(add("get", "Print one as JSON", kind.get));
  Parser* set = add("set", "Check and store one", kind.set);
  add_name(set);
  set->AddOption("--repository", flags->repositories,
                 "Pattern of repositories, e.g. team/**; repeatable")
      ->OneEachTime();
  add_etag(set);
  Parser* remove =
      add("rm", "Delete one; no content goes with it", kind.remove);
  add_name(remove);
  add_etag(remove);
  return {set, flags};
}

}  // namespace

void AddTenantCommands(Parser* app, Session* session) {
  const auto [tenant, of_tenant] =
      AddKind(app->Group("tenant", "Who the content is for"), session,
              {"Tenant", ListTenants, GetTenant, SetTenant, RemoveTenant});
  tenant
      ->AddOption("--label", of_tenant->labels,
                  "Images with this label as well: key or key=value")
      ->OneEachTime();
  tenant->AddOption("--quota", of_tenant->quota,
                    "What its tags may take, e.g. 500GB");
  const auto [quota, of_quota] =
      AddKind(app->Group("quota", "What repositories may take"), session,
              {"Quota", ListQuotas, GetQuota, SetQuota, RemoveQuota});
  quota
      ->AddOption("--limit", of_quota->quota,
                  "What each of the repositories may take, e.g. 20GB")
      ->Required();
}

}  // namespace reclaim::cli

// store, scan, verify.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/row_printer.h"
#include "cli/run_follower.h"
#include "cli/typed_json.h"
#include "cli/units.h"
#include "reclaim/v1/store.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::StoreService::Stub;

struct StoreFlags {
  std::string uri;
  std::string name;
  bool knows_containers = false;
  bool read_only = false;
  std::string write_duration;
  std::string descriptor_cache;
  std::string registry_url;
  bool from_nothing = false;
  bool read_data = false;
  std::string format;
};

std::unique_ptr<Stub> NewStub(Session* session) {
  return v1::StoreService::NewStub(session->channel());
}

int AddStore(Session* session, const StoreFlags& flags) {
  v1::RegisterStoreRequest request;
  request.set_uri(flags.uri);
  request.set_name(flags.name);
  request.set_knows_containers(flags.knows_containers);
  request.set_is_read_only(flags.read_only);
  request.set_registry_url(flags.registry_url);
  if (flags.descriptor_cache == "none") {
    request.set_descriptor_cache(v1::DESCRIPTOR_CACHE_NONE);
  } else if (flags.descriptor_cache == "memory") {
    request.set_descriptor_cache(v1::DESCRIPTOR_CACHE_MEMORY);
  }
  if (!flags.write_duration.empty()) {
    const auto span = ParseSpan(flags.write_duration);
    if (!span.ok()) return session->Fail(span.status());
    // Rather too long than too short.
    request.mutable_write_duration_max()->set_seconds(
        absl::ToInt64Seconds(absl::Ceil(*span, absl::Seconds(1))));
  }
  v1::Store store;
  const int code = session->Ask(&Stub::RegisterStore, NewStub(session).get(),
                                request, &store);
  if (code == kDone) {
    session->out() << (session->json ? JsonLine("store", store) : store.name())
                   << '\n';
  }
  return code;
}

Row StoreRow(const Session& session, const v1::Store& store) {
  return {
      {"Name", store.name()},
      {"Kind", store.kind()},
      {"State",
       absl::StrCat(store.state(), store.is_read_only() ? ", read-only" : "",
                    store.run_id().empty() ? "" : ", run ", store.run_id())},
      {"LastScan", store.has_last_scan_time()
                       ? Ago(TimeOf(store.last_scan_time()), session.Now())
                       : "never"},
      {"Free", store.has_available_bytes() ? HumanSize(store.available_bytes())
                                           : "N/A"},
      {"URI", store.uri()}};
}

int ListStores(Session* session, const StoreFlags& flags) {
  RowPrinter rows(session, "store", flags.format,
                  {{"NAME", "Name"},
                   {"KIND", "Kind"},
                   {"STATE", "State"},
                   {"LAST SCAN", "LastScan"},
                   {"FREE", "Free"},
                   {"URI", "URI"}});
  v1::ListStoresRequest request;
  const auto stub = NewStub(session);
  do {
    v1::ListStoresResponse page;
    const int code =
        session->Ask(&Stub::ListStores, stub.get(), request, &page);
    if (code != kDone) return code;
    for (const v1::Store& store : page.stores()) {
      rows.Add(store, [&] { return StoreRow(*session, store); });
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return rows.Finish();
}

int Scan(Session* session, const StoreFlags& flags) {
  v1::ScanStoreRequest request;
  request.set_name(session->store);
  request.set_from_nothing(flags.from_nothing);
  v1::Run run;
  const int code = StartAndFollow(session, &Stub::ScanStore,
                                  NewStub(session).get(), request, &run);
  if (run.id().empty()) return code;
  if (session->json) {
    session->out() << JsonLine("summary", run) << '\n';
    return code;
  }
  session->out() << "Scanned " << run.store() << ": " << run.blob_count()
                 << " blobs, " << HumanSize(FreedBytes(run.bytes())) << ", "
                 << run.item_count() << " changes\n";
  return code;
}

int ConfirmLoss(Session* session) {
  v1::ConfirmLossResponse confirmed;
  const int code = session->Ask(&Stub::ConfirmLoss, NewStub(session).get(),
                                v1::ConfirmLossRequest(), &confirmed);
  if (code != kDone) return code;
  if (session->json) {
    session->out() << JsonLine("confirmed", confirmed) << '\n';
  } else if (confirmed.has_found_time()) {
    session->out() << "Confirmed: the database was lost ("
                   << Safe(confirmed.why())
                   << "), and what was recorded there is recorded again or "
                      "not needed.\nPlans are applied and the quarantine is "
                      "purged from now on.\n";
  } else {
    session->out() << "Nothing to confirm: the database was not lost.\n";
  }
  return kDone;
}

void SayFinding(Session* session, const v1::Finding& finding) {
  if (session->json) {
    session->out() << JsonLine("finding", finding) << '\n';
    return;
  }
  const char* severity =
      finding.severity() == v1::FINDING_SEVERITY_DAMAGE    ? "damage"
      : finding.severity() == v1::FINDING_SEVERITY_WARNING ? "warning"
                                                           : "note";
  session->out() << severity << ": " << finding.check() << ' '
                 << Safe(finding.subject()) << ": " << Safe(finding.detail())
                 << "\n  " << Safe(finding.advice()) << '\n';
}

int Verify(Session* session, const StoreFlags& flags) {
  v1::VerifyStoreRequest request;
  request.set_name(session->store);
  request.set_read_data(flags.read_data);
  grpc::ClientContext context;
  const auto reader = NewStub(session)->VerifyStore(&context, request);
  v1::VerifyStoreResponse response;
  while (reader->Read(&response)) {
    for (const v1::Finding& finding : response.findings()) {
      SayFinding(session, finding);
    }
    if (session->json) {
      response.clear_findings();
      session->out() << JsonLine(response.is_complete() ? "summary" : "status",
                                 response)
                     << '\n'
                     << std::flush;
    }
    if (session->shows_progress() && !response.is_complete()) {
      session->err() << "\r\x1b[Kverify " << response.done_count() << "/"
                     << response.total_count() << ' '
                     << HumanSize(response.done_bytes()) << std::flush;
    }
  }
  if (session->shows_progress()) session->err() << "\r\x1b[K";
  const int code = session->Check(reader->Finish());
  if (code != kDone) return code;
  const int verdict = response.damage_count() > 0 ? kDamaged : kDone;
  if (session->json) return verdict;
  session->out() << "Verified " << response.node_count()
                 << " nodes: " << response.finding_count() << " findings, "
                 << response.damage_count() << " of them damage\n";
  return verdict;
}

}  // namespace

void AddStoreCommands(Parser* app, Session* session) {
  Parser* store = app->Group("store", "Manage stores");
  auto flags = std::make_shared<StoreFlags>();
  Parser* add = store->AddCommand("add", "Look after a store");
  add->AddOption("uri", flags->uri,
                 "image-layout:PATH, registry:PATH, containerd:SOCKET, "
                 "docker:SOCKET, podman:SOCKET, external:NAME or memory:NAME")
      ->Required();
  add->AddOption("--name", flags->name, "Name; else from the path");
  add->AddFlag("--knows-containers", flags->knows_containers,
               "All containers that use it are recorded");
  add->AddFlag("--read-only", flags->read_only, "Delete nothing there");
  add->AddOption("--write-duration", flags->write_duration,
                 "Longest time from a writer's look at content to its name "
                 "(1m): so much older must be what is freed");
  add->AddOption("--descriptor-cache", flags->descriptor_cache,
                 "Of a registry: none, memory or unknown")
      ->OneOf({"none", "memory", "unknown"});
  add->AddOption("--registry-url", flags->registry_url,
                 "http://HOST:PORT of the registry, to ask what it remembers");
  add->OnChosen(
      [=] { session->chosen = [=] { return AddStore(session, *flags); }; });
  Parser* list = store->AddCommand("ls", "List stores");
  list->AddOption("--format", flags->format, kFormatHelp);
  list->OnChosen(
      [=] { session->chosen = [=] { return ListStores(session, *flags); }; });
  Parser* remove =
      store->AddCommand("rm", "Forget a store; its bytes are not touched");
  remove->AddOption("name", session->store, "Store")->Required();
  remove->OnChosen([=] {
    session->chosen = [=] {
      v1::ForgetStoreRequest request;
      request.set_name(session->store);
      v1::ForgetStoreResponse none;
      return session->Ask(&Stub::ForgetStore, NewStub(session).get(), request,
                          &none);
    };
  });
  Parser* confirm = store->AddCommand(
      "confirm",
      "After the database was lost: pins, leases and rules are recorded again, "
      "deletion may go on");
  confirm->OnChosen(
      [=] { session->chosen = [=] { return ConfirmLoss(session); }; });
  Parser* scan = app->AddCommand("scan", "Read a store into the graph");
  scan->AddOption("store", session->store, "Store");
  scan->AddFlag("--from-nothing", flags->from_nothing,
                "List everything and read all manifests, whatever is known");
  scan->OnChosen(
      [=] { session->chosen = [=] { return Scan(session, *flags); }; });
  Parser* verify = app->AddCommand(
      "verify", "Recompute everything from nothing and compare");
  verify->AddOption("store", session->store, "Store");
  verify->AddFlag("--read-data", flags->read_data,
                  "Compare every blob's bytes with its digest");
  verify->OnChosen(
      [=] { session->chosen = [=] { return Verify(session, *flags); }; });
}

}  // namespace reclaim::cli

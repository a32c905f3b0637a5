// lease, pin.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/row_printer.h"
#include "cli/typed_json.h"
#include "cli/units.h"
#include "reclaim/v1/lease.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::LeaseService::Stub;

constexpr char kPlaceHelp[] =
    "Layout of a folder of image layouts; else each that has the digest";

struct LeaseFlags {
  std::string id;
  std::string expires;
  std::string reason;
  bool flat = false;
  std::vector<std::string> targets;
  std::string place;
  std::string format;
};

std::unique_ptr<Stub> NewStub(Session* session) {
  return v1::LeaseService::NewStub(session->channel());
}

// A digest, or repo:tag, whose repository says where it is.
absl::StatusOr<v1::Target> TargetOf(const std::string& text,
                                    const std::string& place) {
  v1::Target target;
  const size_t colon = text.rfind(':');
  const bool is_digest =
      absl::StartsWith(text, "sha256:") || absl::StartsWith(text, "sha512:");
  if (is_digest || colon == std::string::npos) {
    target.mutable_content()->set_digest(text);
    target.mutable_content()->set_place(place);
    return target;
  }
  if (!place.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--place: says where a digest is; ", text,
        " is where its repository is: leave --place out, or give the digest"));
  }
  target.mutable_named()->set_kind(v1::NODE_KIND_TAG);
  target.mutable_named()->set_scope(text.substr(0, colon));
  target.mutable_named()->set_name(text.substr(colon + 1));
  return target;
}

absl::Status SetExpiry(const Session& session, const std::string& text,
                       google::protobuf::Timestamp* time) {
  RECLAIM_ASSIGN_OR_RETURN(const absl::Duration span, ParseSpan(text));
  time->set_seconds(absl::ToUnixSeconds(session.Now() + span));
  return absl::OkStatus();
}

int CreateLease(Session* session, const LeaseFlags& flags) {
  v1::CreateLeaseRequest request;
  v1::Lease* lease = request.mutable_lease();
  lease->set_store(session->store);
  lease->set_id(flags.id);
  lease->set_is_flat(flags.flat);
  if (!flags.expires.empty()) {
    const absl::Status status =
        SetExpiry(*session, flags.expires, lease->mutable_expire_time());
    if (!status.ok()) return session->Fail(status);
  }
  for (const std::string& text : flags.targets) {
    absl::StatusOr<v1::Target> target = TargetOf(text, flags.place);
    if (!target.ok()) return session->Fail(target.status());
    *lease->add_targets() = *std::move(target);
  }
  v1::Lease made;
  const int code =
      session->Ask(&Stub::CreateLease, NewStub(session).get(), request, &made);
  if (code == kDone) {
    session->out() << (session->json ? JsonLine("lease", made) : made.id())
                   << '\n';
  }
  return code;
}

int ExtendLease(Session* session, const LeaseFlags& flags) {
  v1::UpdateLeaseRequest request;
  request.set_store(session->store);
  request.set_id(flags.id);
  const absl::Status status =
      SetExpiry(*session, flags.expires, request.mutable_expire_time());
  if (!status.ok()) return session->Fail(status);
  v1::Lease lease;
  return session->Ask(&Stub::UpdateLease, NewStub(session).get(), request,
                      &lease);
}

int ListLeases(Session* session, const LeaseFlags& flags) {
  RowPrinter rows(session, "lease", flags.format,
                  {{"LEASE", "ID"},
                   {"OWNER", "Owner"},
                   {"CREATED", "Created"},
                   {"EXPIRES", "Expires"},
                   {"TARGETS", "Targets"}});
  v1::ListLeasesRequest request;
  request.set_store(session->store);
  const auto stub = NewStub(session);
  do {
    v1::ListLeasesResponse page;
    const int code =
        session->Ask(&Stub::ListLeases, stub.get(), request, &page);
    if (code != kDone) return code;
    for (const v1::Lease& lease : page.leases()) {
      rows.Add(lease, [&]() -> Row {
        return {
            {"ID", lease.id()},
            {"Owner", lease.owner()},
            {"Created", Ago(TimeOf(lease.create_time()), session->Now())},
            {"Expires",
             lease.has_expire_time() ? Moment(lease.expire_time()) : "never"},
            {"Targets", absl::StrCat(lease.targets_size())}};
      });
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return rows.Finish();
}

int AddPin(Session* session, const LeaseFlags& flags) {
  v1::CreatePinRequest request;
  request.mutable_pin()->set_store(session->store);
  request.mutable_pin()->set_id(flags.id);
  request.mutable_pin()->set_reason(flags.reason);
  absl::StatusOr<v1::Target> target = TargetOf(flags.targets[0], flags.place);
  if (!target.ok()) return session->Fail(target.status());
  *request.mutable_pin()->mutable_target() = *std::move(target);
  v1::Pin pin;
  const int code =
      session->Ask(&Stub::CreatePin, NewStub(session).get(), request, &pin);
  if (code == kDone) {
    session->out() << (session->json ? JsonLine("pin", pin) : pin.id()) << '\n';
  }
  return code;
}

int ListPins(Session* session, const LeaseFlags& flags) {
  RowPrinter rows(session, "pin", flags.format,
                  {{"PIN", "ID"},
                   {"CREATED", "Created"},
                   {"TARGET", "Target"},
                   {"REASON", "Reason"}});
  v1::ListPinsRequest request;
  request.set_store(session->store);
  const auto stub = NewStub(session);
  do {
    v1::ListPinsResponse page;
    const int code = session->Ask(&Stub::ListPins, stub.get(), request, &page);
    if (code != kDone) return code;
    for (const v1::Pin& pin : page.pins()) {
      rows.Add(pin, [&]() -> Row {
        return {{"ID", pin.id()},
                {"Created", Ago(TimeOf(pin.create_time()), session->Now())},
                {"Target", pin.target().has_content()
                               ? pin.target().content().digest()
                               : absl::StrCat(pin.target().named().scope(), ":",
                                              pin.target().named().name())},
                {"Reason", pin.reason()}};
      });
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return rows.Finish();
}

void AddLease(Parser* app, Session* session) {
  Parser* lease = app->Group("lease", "Hold content for a while");
  auto flags = std::make_shared<LeaseFlags>();
  Parser* create = lease->AddCommand("create", "Take a lease");
  create->AddOption("target", flags->targets, "Digests, repo:tag");
  create->AddOption("--id", flags->id, "Id; else one is made");
  create->AddOption("--expires", flags->expires, "After this long, e.g. 1h");
  create->AddFlag("--flat", flags->flat,
                  "Keep the targets, not what they reference");
  create->AddOption("--place", flags->place, kPlaceHelp);
  create->AddOption("--store", session->store, "Store");
  create->OnChosen(
      [=] { session->chosen = [=] { return CreateLease(session, *flags); }; });
  Parser* extend = lease->AddCommand("extend", "Move the expiry");
  extend->AddOption("id", flags->id, "Lease")->Required();
  extend->AddOption("--expires", flags->expires, "From now, e.g. 1h")
      ->Required();
  extend->AddOption("--store", session->store, "Store");
  extend->OnChosen(
      [=] { session->chosen = [=] { return ExtendLease(session, *flags); }; });
  Parser* list = lease->AddCommand("ls", "List leases");
  list->AddOption("--store", session->store, "Store");
  list->AddOption("--format", flags->format, kFormatHelp);
  list->OnChosen(
      [=] { session->chosen = [=] { return ListLeases(session, *flags); }; });
  Parser* remove = lease->AddCommand("rm", "Give a lease back");
  remove->AddOption("id", flags->id, "Lease")->Required();
  remove->AddOption("--store", session->store, "Store");
  remove->OnChosen([=] {
    session->chosen = [=] {
      v1::DeleteLeaseRequest request;
      request.set_store(session->store);
      request.set_id(flags->id);
      v1::DeleteLeaseResponse none;
      return session->Ask(&Stub::DeleteLease, NewStub(session).get(), request,
                          &none);
    };
  });
}

}  // namespace

void AddLeaseCommands(Parser* app, Session* session) {
  AddLease(app, session);
  Parser* pin = app->Group("pin", "Keep content for good");
  auto flags = std::make_shared<LeaseFlags>();
  Parser* add = pin->AddCommand("add", "Pin a digest or repo:tag");
  add->AddOption("target", flags->targets, "Digest or repo:tag")
      ->Required()
      ->OneInAll();
  add->AddOption("--id", flags->id, "Id; else one is made");
  add->AddOption("--reason", flags->reason, "Why, for those who come later");
  add->AddOption("--place", flags->place, kPlaceHelp);
  add->AddOption("--store", session->store, "Store");
  add->OnChosen(
      [=] { session->chosen = [=] { return AddPin(session, *flags); }; });
  Parser* list = pin->AddCommand("ls", "List pins");
  list->AddOption("--store", session->store, "Store");
  list->AddOption("--format", flags->format, kFormatHelp);
  list->OnChosen(
      [=] { session->chosen = [=] { return ListPins(session, *flags); }; });
  Parser* remove = pin->AddCommand("rm", "Take a pin away");
  remove->AddOption("id", flags->id, "Pin")->Required();
  remove->AddOption("--store", session->store, "Store");
  remove->OnChosen([=] {
    session->chosen = [=] {
      v1::DeletePinRequest request;
      request.set_store(session->store);
      request.set_id(flags->id);
      v1::DeletePinResponse none;
      return session->Ask(&Stub::DeletePin, NewStub(session).get(), request,
                          &none);
    };
  });
}

}  // namespace reclaim::cli

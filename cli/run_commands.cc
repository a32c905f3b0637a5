// runs, events.

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/row_printer.h"
#include "cli/run_follower.h"
#include "cli/typed_json.h"
#include "cli/units.h"
#include "reclaim/v1/collection.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::CollectionService::Stub;

constexpr int kRunsShown = 20;

std::unique_ptr<Stub> NewStub(Session* session) {
  return v1::CollectionService::NewStub(session->channel());
}

int ListRuns(Session* session, const std::string& format, int limit) {
  RowPrinter rows(session, "run", format,
                  {{"RUN", "ID"},
                   {"KIND", "Kind"},
                   {"STORE", "Store"},
                   {"STARTED", "Started"},
                   {"STATE", "State"},
                   {"ITEMS", "Items"},
                   {"SIZE", "Size"},
                   {"ACTOR", "Actor"}});
  v1::ListRunsRequest request;
  request.set_store(session->store);
  // A page may be shorter than was asked for.
  const auto stub = NewStub(session);
  int left = std::min(limit, 1000);
  std::vector<v1::Run> runs;
  do {
    request.set_page_size(left);
    v1::ListRunsResponse page;
    const int code = session->Ask(&Stub::ListRuns, stub.get(), request, &page);
    if (code != kDone) return code;
    left -= page.runs_size();
    runs.insert(runs.end(), page.runs().begin(), page.runs().end());
    request.set_page_token(page.next_page_token());
  } while (left > 0 && !request.page_token().empty());
  for (const v1::Run& run : runs) {
    rows.Add(run, [&]() -> Row {
      return {{"ID", run.id()},
              {"Kind", KindWord(run.kind())},
              {"Store", run.store()},
              {"Started", Ago(TimeOf(run.start_time()), session->Now())},
              {"State", PhaseWord(run.phase())},
              {"Items", absl::StrCat(run.item_count())},
              {"Size", HumanSize(FreedBytes(run.bytes()))},
              {"Actor", run.actor()}};
    });
  }
  return rows.Finish();
}

int ShowRun(Session* session, const std::string& id) {
  v1::GetRunRequest request;
  request.set_id(id);
  v1::Run run;
  const int code =
      session->Ask(&Stub::GetRun, NewStub(session).get(), request, &run);
  if (code != kDone) return code;
  std::ostream& out = session->out();
  if (session->json) {
    out << JsonLine("run", run) << '\n';
    return kDone;
  }
  out << KindWord(run.kind()) << ' ' << run.id() << " of the store "
      << run.store() << ": " << PhaseWord(run.phase()) << "\n  started "
      << Moment(run.start_time()) << " by " << Safe(run.actor()) << '\n';
  if (run.has_end_time()) out << "  ended " << Moment(run.end_time()) << '\n';
  if (!run.plan_id().empty()) out << "  plan " << run.plan_id() << '\n';
  out << "  " << run.item_count() << " items, " << run.blob_count()
      << " blobs, " << HumanSize(FreedBytes(run.bytes())) << '\n';
  if (run.has_restorable_until_time()) {
    out << "  restorable until " << Moment(run.restorable_until_time()) << '\n';
  }
  if (run.skipped_count() > 0) {
    out << "  " << run.skipped_count() << " items were left:\n";
  }
  std::set<std::string> told;
  for (const v1::SkippedItem& item : run.skipped()) {
    told.insert(absl::StrCat(item.subject(), ": ", item.detail()));
    out << "    " << Safe(item.subject()) << ": " << item.reason() << ' '
        << Safe(item.detail()) << '\n';
  }
  for (const std::string& problem : run.problems()) {
    if (told.count(problem) > 0) continue;
    out << "  problem: " << Safe(problem) << '\n';
  }
  return kDone;
}

struct EventFlags {
  uint64_t since = 0;
  bool follow = false;
  int limit = 0;
  std::vector<std::string> kinds;
  std::string format;
};

std::string SubjectOf(const v1::Event& event) {
  const v1::Node& node = event.node();
  if (!node.name().empty()) {
    return absl::StrCat(node.scope(), node.scope().empty() ? "" : ":",
                        node.name());
  }
  return node.digest();
}

std::string WordOf(const v1::Event& event) {
  const std::string kind = v1::EventKind_Name(event.kind());
  absl::string_view word = kind;
  absl::ConsumePrefix(&word, "EVENT_KIND_");
  return absl::AsciiStrToLower(word);
}

Row EventRow(const v1::Event& event) {
  return {{"Sequence", absl::StrCat(event.sequence())},
          {"Time", Moment(event.event_time())},
          {"Kind", WordOf(event)},
          {"Subject", SubjectOf(event)},
          {"Size", HumanSize(event.node().bytes().logical_bytes())},
          {"Actor", event.actor()},
          {"Run", event.run_id()},
          {"Detail", event.detail()}};
}

// As they come: a table's header would come with each of them.
int PrintEvent(Session* session, const v1::Event& event,
               const std::string& format) {
  std::ostream& out = session->out();
  if (session->json) {
    out << JsonLine("event", event) << '\n';
    return kDone;
  }
  if (!format.empty()) {
    Listing listing(std::vector<Column>{});
    listing.Add(EventRow(event));
    return session->Fail(listing.Print(format, &out));
  }
  out << event.sequence() << ' ' << Moment(event.event_time()) << ' '
      << WordOf(event) << ' ' << Safe(SubjectOf(event)) << ' '
      << HumanSize(event.node().bytes().logical_bytes()) << " by "
      << Safe(event.actor());
  if (!event.run_id().empty()) out << " run " << event.run_id();
  if (!event.detail().empty()) out << ": " << Safe(event.detail());
  out << '\n';
  return kDone;
}

int ShowEvents(Session* session, const EventFlags& flags) {
  if (absl::StartsWith(flags.format, "table")) {
    return session->Fail(absl::InvalidArgumentError(
        "--format: events come one by one; there are json and TEMPLATE"));
  }
  v1::WatchEventsRequest request;
  request.set_after_sequence(flags.since);
  request.set_store(session->store);
  request.set_follow(flags.follow);
  request.set_limit(flags.limit);
  for (const std::string& word : flags.kinds) {
    v1::EventKind kind = v1::EVENT_KIND_UNSPECIFIED;
    std::string name = absl::StrCat("EVENT_KIND_", absl::AsciiStrToUpper(word));
    std::replace(name.begin(), name.end(), '-', '_');
    if (!v1::EventKind_Parse(name, &kind)) {
      return session->Fail(absl::InvalidArgumentError(absl::StrCat(
          "--kind: \"", word,
          "\" is none of added, changed, removed, tag-moved, used, "
          "quarantined, restored, purged, problem")));
    }
    request.add_kinds(kind);
  }
  grpc::ClientContext context;
  const auto reader = NewStub(session)->WatchEvents(&context, request);
  v1::WatchEventsResponse batch;
  int left = flags.limit;
  while (reader->Read(&batch)) {
    for (const v1::Event& event : batch.events()) {
      const int code = PrintEvent(session, event, flags.format);
      // The daemon does not count for those who follow.
      const bool is_last = flags.limit > 0 && --left == 0;
      if (code == kDone && !is_last) continue;
      context.TryCancel();
      return code;
    }
    session->out() << std::flush;
  }
  return session->Check(reader->Finish());
}

}  // namespace

void AddRunCommands(Parser* app, Session* session) {
  Parser* runs = app->Group("runs", "Scans, applies, restores, purges");
  auto format = std::make_shared<std::string>();
  auto id = std::make_shared<std::string>();
  auto limit = std::make_shared<int>(kRunsShown);
  Parser* list = runs->AddCommand("ls", "List runs, newest first");
  list->AddOption("--store", session->store, "Store; empty for all");
  list->AddOption("--limit", *limit, "At most so many");
  list->AddOption("--format", *format, kFormatHelp);
  list->OnChosen([=] {
    session->chosen = [=] { return ListRuns(session, *format, *limit); };
  });
  Parser* show = runs->AddCommand("show", "Show a run");
  show->AddOption("id", *id, "Run")->Required();
  show->OnChosen(
      [=] { session->chosen = [=] { return ShowRun(session, *id); }; });
  Parser* watch = runs->AddCommand("watch", "Follow a run to its end");
  watch->AddOption("id", *id, "Run")->Required();
  watch->OnChosen([=] {
    session->chosen = [=] {
      v1::Run run;
      run.set_id(*id);
      const int code = FollowRun(session, &run);
      const int shown = ShowRun(session, *id);
      return code != kDone ? code : shown;
    };
  });
  Parser* cancel = runs->AddCommand("cancel", "Stop a run at the next item");
  cancel->AddOption("id", *id, "Run")->Required();
  cancel->OnChosen([=] {
    session->chosen = [=] {
      v1::CancelRunRequest request;
      request.set_id(*id);
      v1::Run run;
      return session->Ask(&Stub::CancelRun, NewStub(session).get(), request,
                          &run);
    };
  });
  Parser* events = app->AddCommand("events", "What changed, in order");
  auto flags = std::make_shared<EventFlags>();
  events->AddOption("--since", flags->since, "After this sequence number");
  events->AddFlag("--follow", flags->follow, "Go on until interrupted");
  events->AddOption("--limit", flags->limit, "At most so many");
  events->AddOption("--kind", flags->kinds, "Only these, e.g. quarantined");
  events->AddOption("--format", flags->format,
                    "json, or TEMPLATE such as {{.Kind}} {{.Subject}}");
  events->AddOption("--store", session->store, "Store; empty for all");
  events->OnChosen(
      [=] { session->chosen = [=] { return ShowEvents(session, *flags); }; });
}

}  // namespace reclaim::cli

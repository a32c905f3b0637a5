#include "cli/plan_printer.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/listing.h"
#include "cli/row_printer.h"
#include "cli/run_follower.h"
#include "cli/typed_json.h"
#include "cli/units.h"
#include "reclaim/v1/collection.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::CollectionService::Stub;

constexpr int kItemsShown = 50;
constexpr int kPageSize = 1000;

// Docker's headings, in its order.
const char* HeadingOf(const v1::PlanItem& item) {
  switch (item.node().kind()) {
    case v1::NODE_KIND_CONTAINER:
      return "1Deleted Containers:";
    case v1::NODE_KIND_NETWORK:
      return "2Deleted Networks:";
    case v1::NODE_KIND_VOLUME:
      return "3Deleted Volumes:";
    case v1::NODE_KIND_BUILD_CACHE:
      return "5Deleted build cache objects:";
    default:
      return "4Deleted Images:";
  }
}

// The line of an item in Docker's report; "" for what Docker does not tell.
std::string LineOf(const v1::PlanItem& item) {
  // A revision's link is the repository's name for it by digest.
  if (item.action() == "tag" || item.action() == "revision-link") {
    return absl::StrCat("untagged: ", NameOf(item));
  }
  if (item.action() == "blob" || item.action() == "upload") {
    return absl::StrCat("deleted: ", NameOf(item));
  }
  return IsLink(item) ? "" : item.node().name();
}

// Items of the plan that something has come to need since.
uint64_t NowLive(const v1::Run& run) {
  return static_cast<uint64_t>(std::count_if(
      run.skipped().begin(), run.skipped().end(),
      [](const v1::SkippedItem& item) {
        return item.reason() == "became-live" || item.reason() == "touched" ||
               item.reason() == "leased" || item.reason() == "in-use";
      }));
}

int ReportItems(Session* session, const v1::Plan& plan, const v1::Run& run) {
  std::set<std::string> skipped;
  for (const v1::SkippedItem& item : run.skipped()) {
    skipped.insert(item.subject());
  }
  std::map<std::string, std::vector<std::string>> sections;
  // A run that ended early has not come to the rest.
  uint64_t left = run.done_count();
  const int code =
      ForEachItem(session, plan.id(), [&](const v1::PlanItem& item) {
        if (left == 0) return false;
        --left;
        std::string line = LineOf(item);
        if (!line.empty() && skipped.count(item.subject()) == 0) {
          sections[HeadingOf(item)].push_back(std::move(line));
        }
        return true;
      });
  if (code != kDone) return code;
  for (const auto& [heading, lines] : sections) {
    session->out() << heading.substr(1) << '\n';
    for (const std::string& line : lines) session->out() << Safe(line) << '\n';
    session->out() << '\n';
  }
  return kDone;
}

// What could not be judged was not done.
int CodeOf(const v1::Plan& plan, const PruneFlags& flags, int code) {
  return code == kDone && flags.IsPartial(plan) ? kPartial : code;
}

}  // namespace

bool IsLink(const v1::PlanItem& item) {
  return item.action() == "revision-link" || item.action() == "layer-link";
}

std::string NameOf(const v1::PlanItem& item) {
  const v1::Node& node = item.node();
  if (item.action() == "tag") {
    return absl::StrCat(node.scope(), ":", node.name());
  }
  if (item.action() == "upload") {
    return absl::StrCat(node.scope(), "/", node.name());
  }
  if (IsLink(item)) {
    return absl::StrCat(node.scope(), "@", node.digest());
  }
  return node.digest().empty() ? node.name() : node.digest();
}

int ForEachItem(Session* session, const std::string& plan_id,
                const std::function<bool(const v1::PlanItem&)>& visit) {
  const auto stub = v1::CollectionService::NewStub(session->channel());
  v1::ListPlanItemsRequest request;
  request.set_id(plan_id);
  request.set_page_size(kPageSize);
  do {
    v1::ListPlanItemsResponse page;
    const int code =
        session->Ask(&Stub::ListPlanItems, stub.get(), request, &page);
    if (code != kDone) return code;
    for (const v1::PlanItem& item : page.items()) {
      if (!visit(item)) return kDone;
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return kDone;
}

void SayKept(Session* session, const v1::Plan& plan) {
  for (const v1::KeptScope& kept : plan.kept_scopes()) {
    session->err() << "reclaim: "
                   << (kept.scope().empty() ? "the whole store"
                                            : Safe(kept.scope()))
                   << " is kept as it is: " << Safe(kept.why()) << '\n';
  }
}

void SayTarget(const v1::Plan& plan, std::ostream* out) {
  if (!plan.has_target_outcome()) return;
  const v1::TargetOutcome& outcome = plan.target_outcome();
  *out << "Its target asks for " << HumanSize(outcome.needed_bytes()) << " ("
       << outcome.needed_bytes() << " bytes)\n";
  if (outcome.purge_bytes() > 0) {
    *out << "Before anything else goes, " << HumanSize(outcome.purge_bytes())
         << " of the quarantine are freed for good, oldest first\n";
  }
  if (outcome.evicted_count() > 0) {
    *out << outcome.evicted_count()
         << " images lose their names; no choice could do with fewer than "
         << outcome.lower_bound_count() << '\n';
  }
  for (const std::string& warning : outcome.warnings()) {
    *out << "Warning: " << Safe(warning) << '\n';
  }
  if (outcome.short_by_bytes() > 0) {
    *out << "It falls short by " << HumanSize(outcome.short_by_bytes()) << " ("
         << outcome.short_by_bytes() << " bytes): nothing else may go\n";
  }
}

void SayFilters(const v1::Plan& plan, std::ostream* out) {
  if (plan.resolved_filters().empty()) return;
  const std::string terms = absl::StrJoin(plan.resolved_filters(), ", ");
  *out << "Only what matches " << Safe(terms) << '\n';
}

void SayCached(const v1::Plan& plan, std::ostream* out) {
  if (plan.cached_blob_count() == 0) return;
  const v1::Bytes& bytes = plan.cached_bytes();
  *out << plan.cached_blob_count() << " more layers, "
       << HumanSize(bytes.logical_bytes()) << " (" << bytes.allocated_bytes()
       << " bytes on disk), stay because the build cache has them as well, or "
          "may have them; `reclaim builder prune --all` lets them go\n";
}

int PrintPlan(Session* session, const v1::Plan& plan, const PruneFlags& flags) {
  SayKept(session, plan);
  if (session->json) session->out() << JsonLine("plan", plan) << '\n';
  RowPrinter rows(session, "plan_item", flags.format,
                  {{"ACTION", "Action"},
                   {"SUBJECT", "Subject"},
                   {"SIZE", "Size"},
                   {"REASON", "Reason"},
                   {"DETAIL", "Detail"}});
  const bool is_whole =
      flags.all_items || session->json || !flags.format.empty();
  int code = ForEachItem(session, plan.id(), [&](const v1::PlanItem& item) {
    if (!is_whole && rows.size() == kItemsShown) return false;
    rows.Add(item, [&]() -> Row {
      return {{"Action", item.action()},
              {"Subject", NameOf(item)},
              {"Size", HumanSize(item.bytes().logical_bytes())},
              {"Reason", item.reason()},
              {"Detail", item.detail()}};
    });
    return true;
  });
  if (code == kDone && rows.size() > 0) code = rows.Finish();
  if (code != kDone || session->json || !flags.format.empty()) return code;
  if (plan.item_count() > rows.size()) {
    session->out() << "and " << plan.item_count() - rows.size()
                   << " more (--all-items)\n";
  }
  session->out() << "Plan " << plan.id() << " of the store " << plan.store()
                 << ": " << plan.item_count() << " items, " << plan.blob_count()
                 << " blobs, would free " << HumanSize(FreedBytes(plan.bytes()))
                 << " ("
                 << plan.bytes().content().allocated_bytes() +
                        plan.bytes().metadata().allocated_bytes()
                 << " bytes on disk)\n";
  SayFilters(plan, &session->out());
  SayHeld(plan.bytes(), &session->out());
  SayCached(plan, &session->out());
  SayTarget(plan, &session->out());
  if (!plan.is_restorable()) {
    session->out() << "It is deleted for good: what goes cannot be given "
                      "back.\n";
  }
  return kDone;
}

int ApplyAndReport(Session* session, const v1::Plan& plan,
                   const PruneFlags& flags) {
  if (!HasWork(plan)) {
    v1::Run none;
    none.set_kind(v1::RUN_KIND_APPLY);
    none.set_phase(v1::RUN_PHASE_SUCCEEDED);
    none.set_store(plan.store());
    none.set_plan_id(plan.id());
    session->out() << (session->json ? JsonLine("summary", none,
                                                {{"skipped_now_live", 0}})
                                     : "Total reclaimed space: 0B")
                   << '\n';
    return CodeOf(plan, flags, kDone);
  }
  const auto stub = v1::CollectionService::NewStub(session->channel());
  v1::ApplyPlanRequest request;
  request.set_plan_id(plan.id());
  request.set_allow_large(flags.allow_large);
  request.set_purge(flags.purge);
  v1::Run run;
  const int code =
      StartAndFollow(session, &Stub::ApplyPlan, stub.get(), request, &run);
  if (run.id().empty()) return code;
  if (session->json) {
    session->out() << JsonLine("summary", run,
                               {{"skipped_now_live", NowLive(run)}})
                   << '\n';
    return CodeOf(plan, flags, code);
  }
  const int reported = ReportItems(session, plan, run);
  for (const v1::SkippedItem& item : run.skipped()) {
    if (item.reason() == kToldAsProblem) continue;
    session->note() << "reclaim: kept " << Safe(item.subject()) << ": "
                    << item.reason() << " " << Safe(item.detail()) << '\n';
  }
  if (const uint64_t told = static_cast<uint64_t>(run.skipped_size());
      told < run.skipped_count()) {
    session->note() << "reclaim: kept " << run.skipped_count() - told
                    << " more items, which the list above takes for gone; "
                       "`reclaim quarantine ls` shows what is\n";
  }
  if (!flags.purge && plan.is_restorable() && run.item_count() > 0) {
    session->note() << "Until " << Moment(run.restorable_until_time())
                    << " it can be undone with: reclaim restore " << run.id()
                    << "\nThe space is free after that, or at once with: "
                       "reclaim purge --run "
                    << run.id() << " --now\n";
  }
  SayHeld(run.bytes(), &session->note());
  session->out() << "Total reclaimed space: "
                 << HumanSize(FreedBytes(run.bytes())) << '\n';
  return CodeOf(plan, flags, code != kDone ? code : reported);
}

}  // namespace reclaim::cli

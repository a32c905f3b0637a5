// df, system df, tree, what-if.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/row_printer.h"
#include "cli/share_commands.h"
#include "cli/typed_json.h"
#include "cli/units.h"
#include "cli/usage_details.h"
#include "reclaim/v1/usage.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::UsageService::Stub;

struct DfFlags {
  bool verbose = false;
  std::string by;
  std::string history;  // how far back; "" for none
  std::string format;
  std::string reference;
  std::vector<std::string> references;
  int depth = 0;
};

std::string Reclaimable(const v1::UsageRow& row) {
  const uint64_t bytes = row.reclaimable().logical_bytes();
  const uint64_t total = row.bytes().logical_bytes();
  // Docker gives no percentage for the build cache.
  if (total == 0 || row.type() == "Build Cache") return HumanSize(bytes);
  return absl::StrCat(HumanSize(bytes), " (", base::Percent(bytes, total),
                      "%)");
}

int PrintRows(Session* session, const v1::GetDiskUsageResponse& usage,
              const std::string& format) {
  if (session->json) {
    session->out() << JsonLine("disk_usage", usage) << '\n';
    return kDone;
  }
  Listing listing({{"TYPE", "Type"},
                   {"TOTAL", "TotalCount"},
                   {"ACTIVE", "Active"},
                   {"SIZE", "Size"},
                   {"RECLAIMABLE", "Reclaimable"}});
  for (const v1::UsageRow& row : usage.total().rows()) {
    listing.Add({{"Type", row.type()},
                 {"TotalCount", absl::StrCat(row.total_count())},
                 {"Active", absl::StrCat(row.active_count())},
                 {"Size", HumanSize(row.bytes().logical_bytes())},
                 {"Reclaimable", Reclaimable(row)}});
  }
  for (const v1::UsageRow& row : usage.total().rows()) {
    if (row.unknown_size_count() == 0) continue;
    session->note() << "reclaim: the size of " << row.unknown_size_count()
                    << " records is not known; they count as 0B\n";
  }
  return session->Fail(listing.Print(format, &session->out()));
}

Row GroupRow(const v1::GroupUsage& group) {
  return {
      {"Name", group.name()},
      {"Store", group.store()},
      {"Tags", absl::StrCat(group.tag_count())},
      {"Reachable", HumanSize(group.reachable().bytes().logical_bytes())},
      {"Exclusive", HumanSize(group.exclusive().bytes().logical_bytes())},
      {"Share", HumanSize(group.apportioned().logical_bytes())},
      {"Quota", group.has_quota_bytes() ? HumanSize(group.quota_bytes()) : ""}};
}

std::vector<Column> GroupColumns(const std::string& by) {
  std::vector<Column> columns = {{absl::AsciiStrToUpper(by), "Name"},
                                 {"TAGS", "Tags"},
                                 {"REACHABLE", "Reachable"},
                                 {"EXCLUSIVE", "Exclusive"},
                                 {"SHARE", "Share"}};
  if (by == "tenant") columns.push_back({"QUOTA", "Quota"});
  return columns;
}

int PrintGroups(Session* session, const DfFlags& flags) {
  const auto stub = v1::UsageService::NewStub(session->channel());
  v1::ListUsageRequest request;
  request.set_store(session->store);
  request.set_by(flags.by == "store"    ? v1::USAGE_GROUPING_STORE
                 : flags.by == "tenant" ? v1::USAGE_GROUPING_TENANT
                                        : v1::USAGE_GROUPING_REPOSITORY);
  request.set_page_size(1000);
  RowPrinter rows(session, "group_usage", flags.format, GroupColumns(flags.by));
  v1::Bytes rest;
  do {
    v1::ListUsageResponse page;
    const int code = session->Ask(&Stub::ListUsage, stub.get(), request, &page);
    if (code != kDone) return code;
    for (const v1::GroupUsage& group : page.groups()) {
      rows.Add(group, [&] { return GroupRow(group); });
    }
    rest = page.unattributed();
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  const int code = rows.Finish();
  if (code != kDone) return code;
  if (session->json) {
    session->out() << JsonLine("unattributed_usage", rest) << '\n';
  } else if (rest.logical_bytes() > 0 && flags.format.empty()) {
    session->out() << (flags.by == "tenant"
                           ? "\nOf no tenant: "
                           : "\nKept without a tag (young, pinned, leased, or "
                             "beside what cannot be read): ")
                   << HumanSize(rest.logical_bytes()) << '\n';
  }
  return kDone;
}

// The rows say nothing of a store that was never read, and too much of one that
// can't be collected now.
void SayStates(Session* session, const v1::GetDiskUsageResponse& usage) {
  for (const v1::StoreUsage& store : usage.stores()) {
    if (store.state().empty() || store.state() == "ready") continue;
    session->note() << "reclaim: store " << store.store() << ": "
                    << Safe(store.state())
                    << (store.state() == "never scanned"
                            ? absl::StrCat("; run `reclaim scan ",
                                           store.store(), "` first")
                            : "; not all that looks reclaimable can go now")
                    << '\n';
  }
}

int Df(Session* session, const DfFlags& flags) {
  if (!flags.by.empty()) return PrintGroups(session, flags);
  if (!flags.history.empty()) {
    return PrintHistory(session, flags.history, flags.format);
  }
  if (flags.verbose) return PrintDetails(session, flags.format);
  const auto stub = v1::UsageService::NewStub(session->channel());
  v1::GetDiskUsageRequest request;
  request.set_store(session->store);
  v1::GetDiskUsageResponse usage;
  int code = session->Ask(&Stub::GetDiskUsage, stub.get(), request, &usage);
  if (code != kDone) return code;
  code = PrintRows(session, usage, flags.format);
  if (code == kDone) SayStates(session, usage);
  return code;
}

void AddDf(Parser* app, Session* session) {
  Parser* df = app->AddCommand("df", "Show disk usage");
  auto flags = std::make_shared<DfFlags>();
  df->AddFlag("-v,--verbose", flags->verbose, "Every image, volume, ...");
  df->AddOption("--by", flags->by, "repository, store or tenant")
      ->OneOf({"repository", "store", "tenant"});
  df->AddFlag("--history{24h}", flags->history,
              "How it went over the last day, or as long as is said: "
              "--history=30d");
  df->AddOption("--store", session->store, "Store; empty for all");
  df->AddOption("--format", flags->format, kFormatHelp);
  df->OnChosen([=] { session->chosen = [=] { return Df(session, *flags); }; });
}

std::string LabelOf(const v1::TreeNode& node) {
  const v1::Node& n = node.node();
  std::string name = n.name().empty() ? n.digest()
                     : n.scope().empty()
                         ? n.name()
                         : absl::StrCat(n.scope(), ":", n.name());
  if (n.state() == v1::NODE_STATE_ABSENT) name += " (not here)";
  if (n.state() == v1::NODE_STATE_QUARANTINED) name += " (in quarantine)";
  return name;
}

int Tree(Session* session, const DfFlags& flags) {
  const auto stub = v1::UsageService::NewStub(session->channel());
  v1::GetTreeRequest request;
  request.set_store(session->store);
  request.set_reference(flags.reference);
  request.set_max_depth(flags.depth);
  v1::GetTreeResponse tree;
  const int code = session->Ask(&Stub::GetTree, stub.get(), request, &tree);
  if (code != kDone) return code;
  for (const v1::TreeNode& node : tree.nodes()) {
    if (session->json) {
      session->out() << JsonLine("tree_node", node) << '\n';
      continue;
    }
    session->out() << std::string(2 * node.depth(), ' ')
                   << (node.depth() == 0 ? "" : node.role() + " ")
                   << Safe(LabelOf(node)) << "  "
                   << HumanSize(node.node().bytes().logical_bytes())
                   << (node.is_repeated() ? "  (shown above)" : "") << '\n';
  }
  if (tree.is_truncated()) session->note() << "... (--depth shows more)\n";
  return kDone;
}

int WhatIf(Session* session, const DfFlags& flags) {
  const auto stub = v1::UsageService::NewStub(session->channel());
  v1::WhatIfRequest request;
  request.set_store(session->store);
  for (const std::string& text : flags.references) {
    request.add_references(text);
  }
  v1::WhatIfResponse answer;
  const int code = session->Ask(&Stub::WhatIf, stub.get(), request, &answer);
  if (code != kDone) return code;
  if (session->json) {
    session->out() << JsonLine("what_if", answer) << '\n';
    return kDone;
  }
  session->out() << "Would go: " << answer.freed().count() << " blobs, "
                 << HumanSize(answer.freed().bytes().logical_bytes())
                 << "\nWould stay: " << answer.kept().count() << " blobs, "
                 << HumanSize(answer.kept().bytes().logical_bytes()) << '\n';
  for (const v1::Keeper& keeper : answer.keepers()) {
    const v1::Node& root = keeper.root();
    session->out() << "  " << HumanSize(keeper.bytes().logical_bytes())
                   << " because of " << keeper.reason() << ' '
                   << Safe(root.name().empty()
                               ? root.digest()
                               : absl::StrCat(root.scope(), ":", root.name()))
                   << '\n';
  }
  return kDone;
}

}  // namespace

void AddUsageCommands(Parser* app, Session* session) {
  AddDf(app, session);
  AddTop(app, session);
  AddDf(app->Group("system", "Manage it all"), session);
  auto flags = std::make_shared<DfFlags>();
  Parser* tree = app->AddCommand("tree", "An image and all that hangs on it");
  tree->AddOption("reference", flags->reference, "repo:tag or digest")
      ->Required();
  tree->AddOption("--depth", flags->depth, "Levels at most");
  tree->AddOption("--store", session->store, "Store");
  tree->OnChosen(
      [=] { session->chosen = [=] { return Tree(session, *flags); }; });
  Parser* what = app->AddCommand(
      "what-if", "What would go if these went, and what would stay");
  what->AddOption("reference", flags->references, "repo, repo:tag or digest")
      ->Required();
  what->AddOption("--store", session->store, "Store");
  what->OnChosen(
      [=] { session->chosen = [=] { return WhatIf(session, *flags); }; });
}

}  // namespace reclaim::cli

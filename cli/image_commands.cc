// image ls, image history.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/commands.h"
#include "cli/image_tree.h"
#include "cli/listing.h"
#include "cli/row_printer.h"
#include "cli/units.h"
#include "cli/usage_details.h"
#include "reclaim/v1/usage.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::UsageService::Stub;

constexpr size_t kCreatedByMax = 45;

struct ImageFlags {
  bool all = false;
  bool quiet = false;
  bool digests = false;
  bool no_trunc = false;
  bool tree = false;
  bool human = true;
  std::vector<std::string> filters;
  std::string format;
  std::string reference;
  std::string platform;
};

std::vector<Column> ImageColumns(const ImageFlags& flags) {
  std::vector<Column> columns = {{"REPOSITORY", "Repository"}, {"TAG", "Tag"}};
  if (flags.digests) columns.push_back({"DIGEST", "Digest"});
  for (const Column& column : {Column{"IMAGE ID", "ID"},
                               {"CREATED", "CreatedSince"},
                               {"SIZE", "Size"}}) {
    columns.push_back(column);
  }
  return columns;
}

Row ImageRow(const Session& session, const v1::Image& image,
             const std::string& name, const ImageFlags& flags) {
  auto [repository, tag] = SplitReference(image, name);
  if (name.empty() && image.repositories_size() > 0) {
    repository = image.repositories(0);
  }
  return {{"Repository", repository},
          {"Tag", tag},
          {"Digest", image.digest()},
          {"ID", ImageId(image, flags.no_trunc)},
          {"CreatedSince", CreatedAgo(session, image)},
          {"CreatedAt",
           image.has_create_time() ? Moment(image.create_time()) : "N/A"},
          {"Size", HumanSize(image.size().logical_bytes(), 3)},
          {"SharedSize", HumanSize(image.shared().logical_bytes())},
          {"UniqueSize", HumanSize(image.unique().logical_bytes())},
          {"Containers", absl::StrCat(image.container_count())},
          {"Platforms", absl::StrJoin(image.platforms(), ",")},
          {"Store", image.store()}};
}

int ListImages(Session* session, const ImageFlags& flags) {
  v1::ListImagesRequest request;
  request.set_store(session->store);
  request.set_all(flags.all);
  for (const std::string& filter : flags.filters) request.add_filters(filter);
  if (!flags.reference.empty()) {
    request.add_filters(absl::StrCat("reference=", flags.reference));
  }
  if (flags.tree) return PrintImageTree(session, request);
  RowPrinter rows(session, "image", flags.format, ImageColumns(flags));
  const int code = ForEachImage(session, request, [&](const v1::Image& image) {
    if (flags.quiet) {
      session->out() << ImageId(image, flags.no_trunc) << '\n';
      return;
    }
    // As JSON an image is one line, with all of its names.
    const int names = session->json ? 1 : std::max(1, image.references_size());
    for (int i = 0; i < names; ++i) {
      rows.Add(image, [&] {
        return ImageRow(*session, image,
                        image.references().empty() ? "" : image.references(i),
                        flags);
      });
    }
  });
  if (code != kDone || flags.quiet) return code;
  return rows.Finish();
}

// Images without a date, and reproducible ones that say 1970, show none.
bool HasDate(const v1::HistoryEntry& entry) {
  return entry.has_create_time() &&
         TimeOf(entry.create_time()) >=
             absl::FromCivil(absl::CivilYear(2000), absl::UTCTimeZone());
}

Row HistoryRow(const Session& session, const v1::HistoryEntry& entry,
               const ImageFlags& flags) {
  std::string by = absl::StrReplaceAll(entry.created_by(), {{"\t", " "}});
  if (!flags.no_trunc) by = Ellipsis(by, kCreatedByMax);
  const std::string& digest = entry.image_digest();
  std::string size = "N/A";
  if (entry.has_size_bytes()) {
    size = flags.human ? HumanSize(entry.size_bytes(), 3)
                       : absl::StrCat(entry.size_bytes());
  }
  return {{"ID", digest.empty()   ? "<missing>"
                 : flags.no_trunc ? digest
                                  : ShortId(digest)},
          {"CreatedSince", HasDate(entry)
                               ? Ago(TimeOf(entry.create_time()), session.Now())
                               : "N/A"},
          {"CreatedAt", entry.has_create_time()
                            ? absl::FormatTime("%Y-%m-%dT%H:%M:%SZ",
                                               TimeOf(entry.create_time()),
                                               absl::UTCTimeZone())
                            : "N/A"},
          {"CreatedBy", by},
          {"Size", size},
          {"Comment", entry.comment()},
          {"LayerDigest", entry.layer_digest()}};
}

int History(Session* session, const ImageFlags& flags) {
  const auto stub = v1::UsageService::NewStub(session->channel());
  v1::GetImageHistoryRequest request;
  request.set_store(session->store);
  request.set_reference(flags.reference);
  request.set_platform(flags.platform);
  v1::GetImageHistoryResponse history;
  const int code =
      session->Ask(&Stub::GetImageHistory, stub.get(), request, &history);
  if (code != kDone) return code;
  RowPrinter rows(session, "history_entry", flags.format,
                  {{"IMAGE", "ID"},
                   flags.human ? Column{"CREATED", "CreatedSince"}
                               : Column{"CREATED AT", "CreatedAt"},
                   {"CREATED BY", "CreatedBy"},
                   {"SIZE", "Size"},
                   {"COMMENT", "Comment"}});
  for (const v1::HistoryEntry& entry : history.entries()) {
    const auto row = [&] { return HistoryRow(*session, entry, flags); };
    if (flags.quiet) {
      session->out() << row()["ID"] << '\n';
    } else {
      rows.Add(entry, row);
    }
  }
  return flags.quiet ? static_cast<int>(kDone) : rows.Finish();
}

void AddList(Parser* app, Session* session, const char* name) {
  auto flags = std::make_shared<ImageFlags>();
  Parser* list = app->AddCommand(name, "List images, newest first");
  list->AddFlag("-a,--all", flags->all,
                "Referrers, and manifests that an index lists, as well");
  auto* quiet = list->AddFlag("-q,--quiet", flags->quiet, "Only the ids");
  auto* digests = list->AddFlag("--digests", flags->digests, "Show digests");
  auto* whole = list->AddFlag("--no-trunc", flags->no_trunc, "Whole ids");
  auto* format = list->AddOption("--format", flags->format, kFormatHelp);
  // As with Docker a tree is one shape; programs take it as JSON.
  list->AddFlag("--tree", flags->tree, "The platforms of each image")
      ->Excludes(quiet)
      ->Excludes(digests)
      ->Excludes(whole)
      ->Excludes(format);
  list->AddOption("-f,--filter", flags->filters,
                  "dangling=, label=, reference=, until=, before=, since=")
      ->OneEachTime();
  list->AddOption("reference", flags->reference,
                  "Only these names: repo, repo:tag or a pattern");
  list->AddOption("--store", session->store, "Store; empty for all");
  list->OnChosen(
      [=] { session->chosen = [=] { return ListImages(session, *flags); }; });
}

void AddHistory(Parser* app, Session* session) {
  auto flags = std::make_shared<ImageFlags>();
  Parser* history =
      app->AddCommand("history", "The layers of an image and their making");
  history->AddOption("reference", flags->reference, "repo:tag or digest")
      ->Required();
  history->AddOption("--platform", flags->platform, "E.g. linux/amd64");
  history->AddFlag("-H,--human", flags->human,
                   "Ages and units; --human=false for times and bytes");
  history->AddFlag("--no-trunc", flags->no_trunc, "Whole texts");
  history->AddFlag("-q,--quiet", flags->quiet, "Only the ids");
  history->AddOption("--format", flags->format, kFormatHelp);
  history->AddOption("--store", session->store, "Store");
  history->OnChosen(
      [=] { session->chosen = [=] { return History(session, *flags); }; });
}

}  // namespace

void AddImageCommands(Parser* app, Session* session) {
  Parser* image = app->Group("image", "Manage images");
  AddList(image, session, "ls");
  AddHistory(image, session);
  AddList(app, session, "images");
  AddHistory(app, session);
}

}  // namespace reclaim::cli

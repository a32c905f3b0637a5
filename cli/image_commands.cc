// image ls, image history.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/listing.h"
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
  std::vector<std::string> filters;
  std::string format;
  std::string reference;
  std::string platform;
};

std::string IdOf(const v1::Image& image, bool whole) {
  const std::string& id =
      image.config_digest().empty() ? image.digest() : image.config_digest();
  return whole ? id : ShortId(id);
}

int ListImages(Session* session, const ImageFlags& flags) {
  std::vector<Column> columns = {{"REPOSITORY", "Repository"}, {"TAG", "Tag"}};
  if (flags.digests) columns.push_back({"DIGEST", "Digest"});
  for (const Column& column : {Column{"IMAGE ID", "ID"},
                               {"CREATED", "CreatedSince"},
                               {"SIZE", "Size"}}) {
    columns.push_back(column);
  }
  Listing listing(columns);
  std::vector<std::string> ids;
  v1::ListImagesRequest request;
  request.set_store(session->store);
  request.set_all(flags.all);
  for (const std::string& filter : flags.filters) request.add_filters(filter);
  const int code = ForEachImage(session, request, [&](const v1::Image& image) {
    ids.push_back(IdOf(image, flags.no_trunc));
    std::vector<std::string> names(image.references().begin(),
                                   image.references().end());
    if (names.empty()) names.emplace_back();
    for (const std::string& name : names) {
      auto [repository, tag] = SplitReference(name);
      if (name.empty() && image.repositories_size() > 0) {
        repository = image.repositories(0);
      }
      listing.Add(
          {{"Repository", repository},
           {"Tag", tag},
           {"Digest", image.digest()},
           {"ID", IdOf(image, flags.no_trunc)},
           {"CreatedSince", CreatedAgo(*session, image)},
           {"CreatedAt",
            image.has_create_time() ? Moment(image.create_time()) : "N/A"},
           {"Size", HumanSize(image.size().logical_bytes(), 3)},
           {"SharedSize", HumanSize(image.shared().logical_bytes())},
           {"UniqueSize", HumanSize(image.unique().logical_bytes())},
           {"Containers", absl::StrCat(image.container_count())},
           {"Platforms", absl::StrJoin(image.platforms(), ",")},
           {"Store", image.store()}});
    }
  });
  if (code != kDone) return code;
  if (flags.quiet) {
    for (const std::string& id : ids) session->out() << id << '\n';
    return kDone;
  }
  return session->Fail(listing.Print(flags.format, &session->out()));
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
  Listing listing({{"IMAGE", "ID"},
                   {"CREATED", "CreatedSince"},
                   {"CREATED BY", "CreatedBy"},
                   {"SIZE", "Size"},
                   {"COMMENT", "Comment"}});
  for (const v1::HistoryEntry& entry : history.entries()) {
    std::string by = entry.created_by();
    if (!flags.no_trunc && by.size() > kCreatedByMax) {
      by = by.substr(0, kCreatedByMax - 1) + "…";
    }
    const std::string id = entry.image_digest().empty() ? "<missing>"
                           : flags.no_trunc             ? entry.image_digest()
                                            : ShortId(entry.image_digest());
    listing.Add(
        {{"ID", id},
         {"CreatedSince",
          entry.has_create_time() && TimeOf(entry.create_time()) >=
                                         absl::FromCivil(absl::CivilYear(2000),
                                                         absl::UTCTimeZone())
              ? Ago(TimeOf(entry.create_time()), session->Now())
              : "N/A"},
         {"CreatedBy", by},
         {"Size",
          entry.has_size_bytes() ? HumanSize(entry.size_bytes(), 3) : "N/A"},
         {"Comment", entry.comment()}});
  }
  return session->Fail(listing.Print(flags.format, &session->out()));
}

void AddList(CLI::App* app, Session* session, const char* name) {
  auto flags = std::make_shared<ImageFlags>();
  CLI::App* list = app->add_subcommand(name, "List images, newest first");
  list->add_flag("-a,--all", flags->all,
                 "Referrers, and manifests that an index lists, as well");
  list->add_flag("-q,--quiet", flags->quiet, "Only the ids");
  list->add_flag("--digests", flags->digests, "Show digests");
  list->add_flag("--no-trunc", flags->no_trunc, "Whole ids");
  list->add_option("--filter,-f", flags->filters,
                   "dangling=, label=, reference=, until=, before=, since=");
  list->add_option("--format", flags->format, "table, json or a template");
  list->add_option("--store", session->store, "Store; empty for all");
  list->callback(
      [=] { session->chosen = [=] { return ListImages(session, *flags); }; });
}

void AddHistory(CLI::App* app, Session* session) {
  auto flags = std::make_shared<ImageFlags>();
  CLI::App* history =
      app->add_subcommand("history", "The layers of an image and their making");
  history->add_option("reference", flags->reference, "repo:tag or digest")
      ->required();
  history->add_option("--platform", flags->platform, "E.g. linux/amd64");
  history->add_flag("--no-trunc", flags->no_trunc, "Whole texts");
  history->add_option("--format", flags->format, "table, json or a template");
  history->add_option("--store", session->store, "Store");
  history->callback(
      [=] { session->chosen = [=] { return History(session, *flags); }; });
}

}  // namespace

void AddImageCommands(CLI::App* app, Session* session) {
  CLI::App* image = Group(app, "image", "Manage images");
  AddList(image, session, "ls");
  AddHistory(image, session);
  AddList(app, session, "images");
  AddHistory(app, session);
}

}  // namespace reclaim::cli

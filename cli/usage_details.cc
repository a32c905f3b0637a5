#include "cli/usage_details.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/listing.h"
#include "cli/units.h"
#include "reclaim/v1/usage.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::UsageService::Stub;

constexpr int kPageSize = 1000;

// Asks for page after page.
template <typename Method, typename Request, typename Visit>
int ForEachPage(Session* session, Method method, Request request, Visit visit) {
  const auto stub = v1::UsageService::NewStub(session->channel());
  request.set_page_size(kPageSize);
  do {
    auto page = visit.NewPage();
    const int code = session->Ask(method, stub.get(), request, &page);
    if (code != kDone) return code;
    visit(page);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return kDone;
}

template <typename Page, typename Body>
struct PageVisit {
  Body body;
  Page NewPage() const { return Page(); }
  void operator()(const Page& page) const { body(page); }
};
template <typename Page, typename Body>
PageVisit<Page, Body> OnPage(Body body) {
  return {std::move(body)};
}

Listing ImageTable() {
  return Listing({{"REPOSITORY", "Repository"},
                  {"TAG", "Tag"},
                  {"IMAGE ID", "ID"},
                  {"CREATED", "CreatedSince"},
                  {"SIZE", "Size"},
                  {"SHARED SIZE", "SharedSize"},
                  {"UNIQUE SIZE", "UniqueSize"},
                  {"CONTAINERS", "Containers"}});
}

void AddImage(const Session& session, const v1::Image& image,
              Listing* listing) {
  std::vector<std::string> names(image.references().begin(),
                                 image.references().end());
  if (names.empty()) names.emplace_back();
  for (const std::string& name : names) {
    const auto [repository, tag] = SplitReference(name);
    listing->Add(
        {{"Repository", repository},
         {"Tag", tag},
         {"ID", ShortId(image.config_digest().empty() ? image.digest()
                                                      : image.config_digest())},
         {"CreatedSince", CreatedAgo(session, image)},
         {"Size", HumanSize(image.size().logical_bytes())},
         {"SharedSize", HumanSize(image.shared().logical_bytes())},
         {"UniqueSize", HumanSize(image.unique().logical_bytes())},
         {"Containers", absl::StrCat(image.container_count())}});
  }
}

int FillContainers(Session* session, Listing* listing) {
  v1::ListContainersRequest request;
  request.set_store(session->store);
  return ForEachPage(
      session, &Stub::ListContainers, request,
      OnPage<v1::ListContainersResponse>([&](const auto& page) {
        for (const v1::Container& container : page.containers()) {
          listing->Add(
              {{"ID", ShortId(container.id())},
               {"Image", container.image_reference()},
               {"Command", absl::StrCat("\"", container.command(), "\"")},
               {"LocalVolumes", absl::StrCat(container.volume_count())},
               {"Size", container.has_writable_bytes()
                            ? HumanSize(container.writable_bytes())
                            : "N/A"},
               {"RunningFor",
                Ago(TimeOf(container.create_time()), session->Now())},
               {"Status", container.state()},
               {"Names", container.name()}});
        }
      }));
}

int FillVolumes(Session* session, Listing* listing) {
  v1::ListVolumesRequest request;
  request.set_store(session->store);
  return ForEachPage(
      session, &Stub::ListVolumes, request,
      OnPage<v1::ListVolumesResponse>([&](const auto& page) {
        for (const v1::Volume& volume : page.volumes()) {
          listing->Add(
              {{"Name", volume.name()},
               {"Links", absl::StrCat(volume.link_count())},
               {"Size", volume.has_size_bytes() ? HumanSize(volume.size_bytes())
                                                : "N/A"}});
        }
      }));
}

int FillCache(Session* session, Listing* listing, uint64_t* total) {
  v1::ListBuildCacheRequest request;
  request.set_store(session->store);
  return ForEachPage(
      session, &Stub::ListBuildCache, request,
      OnPage<v1::ListBuildCacheResponse>([&](const auto& page) {
        for (const v1::BuildCache& record : page.records()) {
          *total += record.size_bytes();
          listing->Add(
              {{"ID", ShortId(record.id())},
               {"CacheType", record.type()},
               {"Size", HumanSize(record.size_bytes())},
               {"CreatedSince",
                Ago(TimeOf(record.create_time()), session->Now())},
               {"LastUsedSince",
                record.has_last_used_time()
                    ? Ago(TimeOf(record.last_used_time()), session->Now())
                    : ""},
               {"UsageCount", absl::StrCat(record.usage_count())},
               {"Shared", record.is_shared() ? "true" : "false"}});
        }
      }));
}

}  // namespace

std::pair<std::string, std::string> SplitReference(const std::string& text) {
  if (text.empty()) return {"<none>", "<none>"};
  // The tag begins at the last colon behind the last slash.
  const size_t slash = text.rfind('/');
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos ||
      (slash != std::string::npos && colon < slash)) {
    return {text, "<none>"};
  }
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::string CreatedAgo(const Session& session, const v1::Image& image) {
  return image.has_create_time()
             ? Ago(TimeOf(image.create_time()), session.Now())
             : "N/A";
}

int ForEachImage(Session* session, v1::ListImagesRequest request,
                 const std::function<void(const v1::Image&)>& visit) {
  return ForEachPage(session, &Stub::ListImages, std::move(request),
                     OnPage<v1::ListImagesResponse>([&](const auto& page) {
                       for (const v1::Image& image : page.images()) {
                         visit(image);
                       }
                     }));
}

int PrintDetails(Session* session, const std::string& format) {
  if (!format.empty() && format != "table") {
    return session->Fail(absl::InvalidArgumentError(
        "--format: df -v is a table; `reclaim image ls --format json` and the "
        "like give its parts"));
  }
  Listing images = ImageTable();
  v1::ListImagesRequest request;
  request.set_store(session->store);
  int code = ForEachImage(session, request, [&](const v1::Image& image) {
    AddImage(*session, image, &images);
  });
  if (code != kDone) return code;
  Listing containers({{"CONTAINER ID", "ID"},
                      {"IMAGE", "Image"},
                      {"COMMAND", "Command"},
                      {"LOCAL VOLUMES", "LocalVolumes"},
                      {"SIZE", "Size"},
                      {"CREATED", "RunningFor"},
                      {"STATUS", "Status"},
                      {"NAMES", "Names"}});
  code = FillContainers(session, &containers);
  if (code != kDone) return code;
  Listing volumes(
      {{"VOLUME NAME", "Name"}, {"LINKS", "Links"}, {"SIZE", "Size"}});
  code = FillVolumes(session, &volumes);
  if (code != kDone) return code;
  Listing cache({{"CACHE ID", "ID"},
                 {"CACHE TYPE", "CacheType"},
                 {"SIZE", "Size"},
                 {"CREATED", "CreatedSince"},
                 {"LAST USED", "LastUsedSince"},
                 {"USAGE", "UsageCount"},
                 {"SHARED", "Shared"}});
  uint64_t cache_bytes = 0;
  code = FillCache(session, &cache, &cache_bytes);
  if (code != kDone) return code;
  std::ostream& out = session->out();
  out << "Images space usage:\n\n";
  absl::Status status = images.Print("", &out);
  out << "\nContainers space usage:\n\n";
  status.Update(containers.Print("", &out));
  out << "\nLocal Volumes space usage:\n\n";
  status.Update(volumes.Print("", &out));
  out << "\nBuild cache usage: " << HumanSize(cache_bytes) << "\n\n";
  status.Update(cache.Print("", &out));
  return session->Fail(status);
}

}  // namespace reclaim::cli

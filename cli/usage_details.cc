#include "cli/usage_details.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "cli/listing.h"
#include "cli/typed_json.h"
#include "cli/units.h"
#include "reclaim/v1/usage.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::UsageService::Stub;

constexpr int kPageSize = 1000;
constexpr size_t kCommandMax = 20;

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

// Docker's tables; rows have more fields than they have columns.
struct Details {
  Listing images{{{"REPOSITORY", "Repository"},
                  {"TAG", "Tag"},
                  {"IMAGE ID", "ID"},
                  {"CREATED", "CreatedSince"},
                  {"SIZE", "Size"},
                  {"SHARED SIZE", "SharedSize"},
                  {"UNIQUE SIZE", "UniqueSize"},
                  {"CONTAINERS", "Containers"}}};
  Listing containers{{{"CONTAINER ID", "ID"},
                      {"IMAGE", "Image"},
                      {"COMMAND", "Command"},
                      {"LOCAL VOLUMES", "LocalVolumes"},
                      {"SIZE", "Size"},
                      {"CREATED", "RunningFor"},
                      {"STATUS", "Status"},
                      {"NAMES", "Names"}}};
  Listing volumes{
      {{"VOLUME NAME", "Name"}, {"LINKS", "Links"}, {"SIZE", "Size"}}};
  Listing cache{{{"CACHE ID", "ID"},
                 {"CACHE TYPE", "CacheType"},
                 {"SIZE", "Size"},
                 {"CREATED", "CreatedSince"},
                 {"LAST USED", "LastUsedSince"},
                 {"USAGE", "UsageCount"},
                 {"SHARED", "Shared"}}};
  uint64_t cache_bytes = 0;
};

const char* YesNo(bool is) { return is ? "true" : "false"; }

void AddImage(const Session& session, const v1::Image& image,
              Listing* listing) {
  std::vector<std::string> names(image.references().begin(),
                                 image.references().end());
  if (names.empty()) names.emplace_back();
  for (const std::string& name : names) {
    const auto [repository, tag] = SplitReference(image, name);
    listing->Add(
        {{"Repository", repository},
         {"Tag", tag},
         {"Digest", image.digest()},
         {"ID", ImageId(image, /*whole=*/false)},
         {"CreatedSince", CreatedAgo(session, image)},
         {"CreatedAt",
          image.has_create_time() ? Moment(image.create_time()) : "N/A"},
         {"Size", HumanSize(image.size().logical_bytes())},
         {"SharedSize", HumanSize(image.shared().logical_bytes())},
         {"UniqueSize", HumanSize(image.unique().logical_bytes())},
         {"Containers", absl::StrCat(image.container_count())}});
  }
}

Row CacheRow(const Session& session, const v1::BuildCache& record) {
  const bool is_used = record.has_last_used_time();
  return {{"ID", ShortId(record.id())},
          {"CacheType", record.type()},
          {"Description", record.description()},
          {"Size", HumanSize(record.size_bytes())},
          {"CreatedAt", Moment(record.create_time())},
          {"CreatedSince", Ago(TimeOf(record.create_time()), session.Now())},
          {"LastUsedAt", is_used ? Moment(record.last_used_time()) : ""},
          {"LastUsedSince",
           is_used ? Ago(TimeOf(record.last_used_time()), session.Now()) : ""},
          {"UsageCount", absl::StrCat(record.usage_count())},
          {"InUse", YesNo(record.is_in_use())},
          {"Shared", YesNo(record.is_shared())}};
}

// Adds a record to its table, or prints it with --json.
template <typename Record, typename Fill>
void Take(Session* session, const char* type, const Record& record, Fill fill) {
  if (session->json) {
    session->out() << JsonLine(type, record) << '\n';
  } else {
    fill();
  }
}

int FillContainers(Session* session, Listing* listing) {
  return ForEachContainer(session, [&](const v1::Container& container) {
    Take(session, "container", container,
         [&] { listing->Add(ContainerRow(*session, container)); });
  });
}

int FillVolumes(Session* session, Listing* listing) {
  return ForEachVolume(session, [&](const v1::Volume& volume) {
    Take(session, "volume", volume, [&] { listing->Add(VolumeRow(volume)); });
  });
}

int FillCache(Session* session, Listing* listing, uint64_t* total) {
  v1::ListBuildCacheRequest request;
  request.set_store(session->store);
  return ForEachPage(session, &Stub::ListBuildCache, request,
                     OnPage<v1::ListBuildCacheResponse>([&](const auto& page) {
                       for (const v1::BuildCache& record : page.records()) {
                         *total += record.size_bytes();
                         Take(session, "build_cache", record, [&] {
                           listing->Add(CacheRow(*session, record));
                         });
                       }
                     }));
}

int Fill(Session* session, Details* details) {
  v1::ListImagesRequest request;
  request.set_store(session->store);
  int code = ForEachImage(session, request, [&](const v1::Image& image) {
    Take(session, "image", image,
         [&] { AddImage(*session, image, &details->images); });
  });
  if (code == kDone) code = FillContainers(session, &details->containers);
  if (code == kDone) code = FillVolumes(session, &details->volumes);
  if (code == kDone) {
    code = FillCache(session, &details->cache, &details->cache_bytes);
  }
  return code;
}

absl::Status PrintTables(const Details& details, std::ostream* out) {
  *out << "Images space usage:\n\n";
  absl::Status status = details.images.Print("", out);
  *out << "\nContainers space usage:\n\n";
  status.Update(details.containers.Print("", out));
  *out << "\nLocal Volumes space usage:\n\n";
  status.Update(details.volumes.Print("", out));
  *out << "\nBuild cache usage: " << HumanSize(details.cache_bytes) << "\n\n";
  status.Update(details.cache.Print("", out));
  return status;
}

// One object, or one of its lists.
absl::Status PrintObject(const Details& details, const std::string& format,
                         std::ostream* out) {
  const nlohmann::json object = {{"Images", details.images.rows()},
                                 {"Containers", details.containers.rows()},
                                 {"Volumes", details.volumes.rows()},
                                 {"BuildCache", details.cache.rows()}};
  if (format == "json" || format == "{{json .}}") {
    *out << object.dump() << '\n';
    return absl::OkStatus();
  }
  for (const auto& [name, list] : object.items()) {
    if (format == absl::StrCat("{{json .", name, "}}")) {
      *out << list.dump() << '\n';
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      "--format: df -v has table, json, {{json .}}, and {{json .Images}}, "
      ".Containers, .Volumes or .BuildCache");
}

}  // namespace

std::pair<std::string, std::string> SplitReference(const v1::Image& image,
                                                   const std::string& text) {
  if (text.empty()) return {"<none>", "<none>"};
  for (const std::string& repository : image.repositories()) {
    absl::string_view tag = text;
    if (absl::ConsumePrefix(&tag, repository) &&
        absl::ConsumePrefix(&tag, ":")) {
      return {repository, std::string(tag)};
    }
  }
  // The tag begins at the last colon behind the last slash.
  const size_t slash = text.rfind('/');
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos ||
      (slash != std::string::npos && colon < slash)) {
    return {text, "<none>"};
  }
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::string ImageId(const v1::Image& image, bool whole) {
  const std::string& id =
      image.config_digest().empty() ? image.digest() : image.config_digest();
  return whole ? id : ShortId(id);
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

std::string LabelsOf(const LabelMap& m) {
  std::vector<std::string> labels;
  for (const auto& [key, value] : m) {
    labels.push_back(absl::StrCat(key, "=", value));
  }
  std::sort(labels.begin(), labels.end());
  return absl::StrJoin(labels, ",");
}

namespace {

// As Docker has it: "0.0.0.0:8080->80/tcp, 443/tcp".
std::string PortsOf(const v1::Container& container) {
  std::vector<std::string> ports;
  for (const v1::PortMapping& port : container.ports()) {
    std::string host;
    if (port.host_port() != 0) {
      host = absl::StrCat(port.host_ip(), ":", port.host_port(), "->");
    }
    ports.push_back(
        absl::StrCat(host, port.container_port(), "/", port.protocol()));
  }
  return absl::StrJoin(ports, ", ");
}

}  // namespace

Row ContainerRow(const Session& session, const v1::Container& container,
                 bool whole) {
  const std::string command =
      whole ? container.command() : Ellipsis(container.command(), kCommandMax);
  return {{"ID", whole ? container.id() : ShortId(container.id())},
          {"Image", container.image_reference()},
          {"Command", absl::StrCat("\"", command, "\"")},
          {"LocalVolumes", absl::StrCat(container.volume_count())},
          {"Size", container.has_writable_bytes()
                       ? HumanSize(container.writable_bytes())
                       : "N/A"},
          {"CreatedAt", Moment(container.create_time())},
          {"RunningFor", Ago(TimeOf(container.create_time()), session.Now())},
          {"Ports", PortsOf(container)},
          {"State", container.state()},
          {"Status", container.state()},
          {"Labels", LabelsOf(container.labels())},
          {"Names", container.name()}};
}

Row VolumeRow(const v1::Volume& volume) {
  return {{"Name", volume.name()},
          {"Driver", volume.driver()},
          {"Labels", LabelsOf(volume.labels())},
          {"Links", absl::StrCat(volume.link_count())},
          {"Size",
           volume.has_size_bytes() ? HumanSize(volume.size_bytes()) : "N/A"}};
}

int ForEachContainer(Session* session,
                     const std::function<void(const v1::Container&)>& visit) {
  v1::ListContainersRequest request;
  request.set_store(session->store);
  return ForEachPage(
      session, &Stub::ListContainers, request,
      OnPage<v1::ListContainersResponse>([&](const auto& page) {
        for (const v1::Container& container : page.containers()) {
          visit(container);
        }
      }));
}

int ForEachVolume(Session* session,
                  const std::function<void(const v1::Volume&)>& visit) {
  v1::ListVolumesRequest request;
  request.set_store(session->store);
  return ForEachPage(session, &Stub::ListVolumes, request,
                     OnPage<v1::ListVolumesResponse>([&](const auto& page) {
                       for (const v1::Volume& volume : page.volumes()) {
                         visit(volume);
                       }
                     }));
}

int ForEachNetwork(Session* session,
                   const std::function<void(const v1::Network&)>& visit) {
  v1::ListNetworksRequest request;
  request.set_store(session->store);
  return ForEachPage(session, &Stub::ListNetworks, request,
                     OnPage<v1::ListNetworksResponse>([&](const auto& page) {
                       for (const v1::Network& network : page.networks()) {
                         visit(network);
                       }
                     }));
}

int PrintDetails(Session* session, const std::string& format) {
  Details details;
  const int code = Fill(session, &details);
  if (code != kDone || session->json) return code;
  const bool is_table = format.empty() || format == "table";
  return session->Fail(is_table
                           ? PrintTables(details, &session->out())
                           : PrintObject(details, format, &session->out()));
}

}  // namespace reclaim::cli

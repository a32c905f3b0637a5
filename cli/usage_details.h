// cli/usage_details.h — `df -v`: every image, container, volume and record;
// and what lists of them have in common.

#ifndef RECLAIM_CLI_USAGE_DETAILS_H_
#define RECLAIM_CLI_USAGE_DETAILS_H_

#include <functional>
#include <string>
#include <utility>

#include "cli/listing.h"
#include "cli/session.h"
#include "google/protobuf/map.h"
#include "reclaim/v1/usage.pb.h"

namespace reclaim::cli {

// Docker's four sections.  `format` "json" and "{{json .}}" give one object
// with the lists Images, Containers, Volumes and BuildCache, "{{json .Images}}"
// one list; every value is text, as Docker has it.  Other templates are
// INVALID_ARGUMENT.  With --json a line of typed JSON for each.
int PrintDetails(Session* session, const std::string& format);

// Calls `visit` for every image that the request lists.
int ForEachImage(Session* session, v1::ListImagesRequest request,
                 const std::function<void(const v1::Image&)>& visit);

// Calls `visit` for every record of the session's store, or of all stores.
int ForEachContainer(Session* session,
                     const std::function<void(const v1::Container&)>& visit);
int ForEachVolume(Session* session,
                  const std::function<void(const v1::Volume&)>& visit);
int ForEachNetwork(Session* session,
                   const std::function<void(const v1::Network&)>& visit);

// The fields of Docker's templates; `whole` for uncut ids and commands.
Row ContainerRow(const Session& session, const v1::Container& container,
                 bool whole = false);
Row VolumeRow(const v1::Volume& volume);

// "a=1,b=2", sorted.
using LabelMap = google::protobuf::Map<std::string, std::string>;
std::string LabelsOf(const LabelMap& labels);

// "app" and "v1" of the reference "app:v1" to `image`; "<none>" for what is
// missing.  An image layout names its entries as it likes, also with colons:
// the repositories of the image say where the tag begins.
std::pair<std::string, std::string> SplitReference(const v1::Image& image,
                                                   const std::string& text);

// Docker's image id: the config's digest, or the digest of an image that has
// none; its first 12 digits unless `whole`.
std::string ImageId(const v1::Image& image, bool whole);

std::string CreatedAgo(const Session& session, const v1::Image& image);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_USAGE_DETAILS_H_

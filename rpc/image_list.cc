#include "rpc/image_list.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "accounting/image_usage.h"
#include "base/status_macros.h"
#include "gc/filter.h"
#include "gc/image_subject.h"
#include "index/put_codec.h"
#include "oci/name.h"
#include "rpc/convert.h"
#include "rpc/node_details.h"
#include "rpc/subject.h"

namespace reclaim::rpc {
namespace {

using accounting::ImageUsage;
using index::NodeId;
using index::PutImageConfig;

// What the arrays say of one image, and the nodes whose records say more.
struct Listed {
  v1::Image image;
  std::vector<NodeId> configs;
  gc::FilterSubject subject;
};

// Terms that only lists know, taken out of the others.
struct ListTerms {
  std::vector<std::string> terms;
  std::vector<std::string> before;
  std::vector<std::string> since;
};

ListTerms Split(const v1::ListImagesRequest& request) {
  ListTerms split;
  for (const std::string& term : request.filters()) {
    absl::string_view rest = term;
    if (absl::ConsumePrefix(&rest, "before=")) {
      split.before.emplace_back(rest);
    } else if (absl::ConsumePrefix(&rest, "since=")) {
      split.since.emplace_back(rest);
    } else {
      split.terms.push_back(term);
    }
  }
  return split;
}

Listed FromArrays(const index::GraphReader& reader, const std::string& store,
                  const ImageUsage& usage) {
  const index::GraphView& view = reader.view();
  const index::NodeFields fields = view.fields(usage.node);
  Listed listed;
  v1::Image& image = listed.image;
  image.set_store(store);
  image.set_place(view.PlaceName(fields.place));
  image.set_digest(view.digest(usage.node).ToString());
  std::set<std::string> names;
  for (const NodeId tag : usage.tags) {
    const index::NamedKey key = view.named_key(tag);
    names.insert(oci::JoinTag(key.scope, key.name));
  }
  for (const std::string& name : names) image.add_references(name);
  for (const NodeId repository : usage.repositories) {
    image.add_repositories(view.named_key(repository).name);
  }
  image.set_is_image_index(fields.kind == index::NodeKind::kImageIndex);
  if (!usage.configs.empty()) {
    image.set_config_digest(view.digest(usage.configs[0]).ToString());
  }
  SetTime(fields.recorded, [&] { return image.mutable_record_time(); });
  SetTime(fields.used, [&] { return image.mutable_last_used_time(); });
  *image.mutable_size() = ToProto(usage.size);
  *image.mutable_shared() = ToProto(usage.shared);
  *image.mutable_unique() = ToProto(usage.unique);
  *image.mutable_unpacked() = ToProto(usage.unpacked);
  image.set_container_count(usage.container_count);
  image.set_is_dangling(usage.is_dangling);
  image.set_is_live(reader.IsLive(usage.node));
  image.set_referrer_count(usage.referrer_count);
  image.set_absent_count(usage.absent_count);
  listed.configs = usage.configs;
  return listed;
}

// Leaves the names that a reference term asks for, as Docker does.
void KeepNamesAskedFor(const gc::Filter& filter, v1::Image* image) {
  if (filter.references.empty()) return;
  gc::Filter by_name;
  by_name.references = filter.references;
  auto* names = image->mutable_references();
  names->erase(std::remove_if(names->begin(), names->end(),
                              [&](const std::string& name) {
                                gc::FilterSubject subject;
                                subject.references = {name};
                                return !gc::Matches(by_name, subject);
                              }),
               names->end());
}

// Adds what the configs say, and judges the filter.
absl::StatusOr<bool> Complete(const ServiceParts& parts,
                              const gc::Filter& filter, Listed* listed) {
  std::vector<PutImageConfig> configs;
  for (const NodeId node : listed->configs) {
    RECLAIM_ASSIGN_OR_RETURN(auto config, parts.graph->GetImageConfig(node));
    // "unknown" is how builders mark attestations: no platform.
    if (!config || config->os == "unknown") continue;
    configs.push_back(*std::move(config));
  }
  v1::Image& image = listed->image;
  for (const PutImageConfig& config : configs) {
    if (!config.os.empty()) image.add_platforms(PlatformOf(config));
    image.mutable_labels()->insert(config.labels.begin(), config.labels.end());
  }
  if (!configs.empty() && configs[0].created) {
    SetTime(*configs[0].created, [&] { return image.mutable_create_time(); });
  }
  if (filter.dangling && *filter.dangling != image.is_dangling()) return false;
  gc::FilterSubject subject = std::move(listed->subject);
  gc::AddConfigs(configs, &subject);
  if (!gc::Matches(filter, subject)) return false;
  KeepNamesAskedFor(filter, &image);
  return true;
}

// Docker's order: when it was made, or else when it came here.
absl::Time TimeOf(const v1::Image& image) {
  return index::FromProto(image.has_create_time() ? image.create_time()
                                                  : image.record_time());
}

bool IsNewer(const v1::Image& a, const v1::Image& b) {
  const absl::Time at = TimeOf(a);
  const absl::Time bt = TimeOf(b);
  if (at != bt) return at > bt;
  return std::make_pair(a.store(), a.digest()) <
         std::make_pair(b.store(), b.digest());
}

absl::StatusOr<std::vector<v1::Image>> ListOne(const ServiceParts& parts,
                                               const index::StoreRecord& store,
                                               const gc::Filter& filter,
                                               bool all) {
  std::vector<Listed> listed;
  {
    const auto reader = parts.graph->Read();
    accounting::ForEachImageUsage(
        reader->view(), store.id, all, [&](const ImageUsage& usage) {
          listed.push_back(FromArrays(*reader, store.name, usage));
          if (filter.empty()) return;
          listed.back().subject =
              gc::SubjectOfImage(reader->view(), usage.node, index::kNoNode);
        });
  }
  std::vector<v1::Image> images;
  for (Listed& one : listed) {
    RECLAIM_ASSIGN_OR_RETURN(const bool is_wanted,
                             Complete(parts, filter, &one));
    if (is_wanted) images.push_back(std::move(one.image));
  }
  return images;
}

// An image by its name, its digest, or its ID, which is its config's digest.
absl::StatusOr<NodeId> FindNamed(const index::GraphView& view,
                                 index::StoreId store,
                                 const std::string& text) {
  RECLAIM_ASSIGN_OR_RETURN(const std::string whole,
                           WholeDigest(view, store, text));
  return FindImage(view, store, whole);
}

// The digest that `before=` or `since=` names, in any of the stores.
absl::StatusOr<std::string> Named(const ServiceParts& parts,
                                  const std::vector<index::StoreRecord>& stores,
                                  const std::string& text) {
  absl::Status status = absl::NotFoundError("there is no store");
  const auto reader = parts.graph->Read();
  for (const index::StoreRecord& store : stores) {
    const auto id = FindNamed(reader->view(), store.id, text);
    if (id.ok()) return reader->view().digest(*id).ToString();
    status = id.status();
  }
  return status;
}

// Keeps those on one side of the image that each term names.
absl::Status Cut(const ServiceParts& parts,
                 const std::vector<index::StoreRecord>& stores,
                 const std::vector<std::string>& terms, bool is_before,
                 const std::vector<v1::Image>& all,
                 std::vector<v1::Image>* images) {
  const char* const key = is_before ? "before=" : "since=";
  for (const std::string& text : terms) {
    if (text.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("filter \"", key, "\" has an empty value"));
    }
    RECLAIM_ASSIGN_OR_RETURN(const std::string digest,
                             Named(parts, stores, text));
    const auto mark = std::find_if(
        all.begin(), all.end(),
        [&](const v1::Image& image) { return image.digest() == digest; });
    if (mark == all.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(key, text, ": is not a listed image"));
    }
    const absl::Time limit = TimeOf(*mark);
    images->erase(std::remove_if(images->begin(), images->end(),
                                 [&](const v1::Image& image) {
                                   return is_before ? TimeOf(image) >= limit
                                                    : TimeOf(image) <= limit;
                                 }),
                  images->end());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<v1::Image>> ListImages(
    const ServiceParts& parts, const v1::ListImagesRequest& request) {
  std::vector<index::StoreRecord> stores = parts.graph->Stores();
  if (!request.store().empty()) {
    RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                             parts.stores->Find(request.store()));
    stores = {store};
  }
  const ListTerms split = Split(request);
  RECLAIM_ASSIGN_OR_RETURN(
      const gc::Filter filter,
      gc::ParseFilter(split.terms, {}, gc::FilterTarget::kImages,
                      parts.clock->Now(), parts.zone));
  const bool is_cut = !split.before.empty() || !split.since.empty();
  std::vector<v1::Image> images;
  std::vector<v1::Image> all;
  for (const index::StoreRecord& store : stores) {
    RECLAIM_ASSIGN_OR_RETURN(std::vector<v1::Image> some,
                             ListOne(parts, store, filter, request.all()));
    std::move(some.begin(), some.end(), std::back_inserter(images));
    if (!is_cut) continue;
    RECLAIM_ASSIGN_OR_RETURN(std::vector<v1::Image> unfiltered,
                             ListOne(parts, store, gc::Filter(), true));
    std::move(unfiltered.begin(), unfiltered.end(), std::back_inserter(all));
  }
  RECLAIM_RETURN_IF_ERROR(Cut(parts, stores, split.before, true, all, &images));
  RECLAIM_RETURN_IF_ERROR(Cut(parts, stores, split.since, false, all, &images));
  std::sort(images.begin(), images.end(), IsNewer);
  return images;
}

}  // namespace reclaim::rpc

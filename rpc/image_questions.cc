#include "rpc/image_questions.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "accounting/image_history.h"
#include "accounting/tree.h"
#include "accounting/what_if.h"
#include "base/status_macros.h"
#include "gc/graph_details.h"
#include "index/reference_graph.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "rpc/convert.h"
#include "rpc/node_details.h"
#include "rpc/subject.h"

namespace reclaim::rpc {
namespace {

using index::NodeId;
using index::NodeKind;

constexpr uint64_t kDocumentBytesMax = 4u << 20;
constexpr uint32_t kDepthDefault = 32;
constexpr size_t kTreeNodeMax = 10'000;

struct Named {
  store::Place place;
  oci::Digest digest;
  bool is_index = false;
};

absl::StatusOr<Named> NameImage(const ServiceParts& parts,
                                const index::StoreRecord& store,
                                const std::string& reference) {
  const auto reader = parts.graph->Read();
  const index::GraphView& view = reader->view();
  RECLAIM_ASSIGN_OR_RETURN(const NodeId id,
                           FindImage(view, store.id, reference));
  return Named{view.PlaceName(view.fields(id).place), view.digest(id),
               view.kind(id) == NodeKind::kImageIndex};
}

absl::StatusOr<oci::Manifest> ReadManifest(const store::ContentStore& store,
                                           const Named& name) {
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string bytes,
      store.Read(name.place, name.digest, kDocumentBytesMax));
  return oci::ParseManifest(bytes, "");
}

// "linux/arm" asks for any variant, "" for anything.  That of arm64 goes
// without saying.
bool IsFor(absl::string_view platform, absl::string_view asked) {
  if (absl::EndsWith(asked, "/arm64/v8")) asked.remove_suffix(3);
  return asked.empty() || platform == asked ||
         (absl::StartsWith(platform, asked) && platform[asked.size()] == '/');
}

// An image that is no part of an index is for what its config says.
absl::Status CheckPlatform(const v1::GetImageHistoryRequest& request,
                           const oci::ImageConfig& config) {
  std::string platform;
  for (const std::string& part :
       {config.os, config.architecture, config.variant}) {
    if (part.empty()) break;
    absl::StrAppend(&platform, platform.empty() ? "" : "/", part);
  }
  if (IsFor(platform, request.platform())) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat(request.reference(), " is for ",
                   platform.empty() ? "no platform" : platform, ", not for ",
                   request.platform(), ", and is the only image of that name"));
}

// The manifest of `platform` ("" for the first that is here) of an index, by
// the way of nested ones.
absl::StatusOr<Named> ChoosePlatform(const store::ContentStore& store,
                                     Named name, const std::string& platform) {
  for (int depth = 0; name.is_index; ++depth) {
    if (depth == 8) {
      return absl::FailedPreconditionError(
          "the image index is nested more than 8 deep; name a manifest");
    }
    RECLAIM_ASSIGN_OR_RETURN(const oci::Manifest index,
                             ReadManifest(store, name));
    bool is_found = false;
    for (const oci::Descriptor& child : index.children) {
      const bool is_nested =
          oci::ClassifyMediaType(child.media_type) == oci::ManifestKind::kIndex;
      if (!is_nested && !IsFor(child.platform, platform)) continue;
      if (!store.Stat(name.place, child.digest).ok()) continue;
      name = {name.place, child.digest, is_nested};
      is_found = true;
      break;
    }
    if (!is_found) {
      return absl::NotFoundError(
          absl::StrCat("no manifest ", platform.empty() ? "" : "for ", platform,
                       platform.empty() ? "" : " ", "of ",
                       name.digest.ToString(), " is here"));
    }
  }
  return name;
}

// What has to be read once the graph is let go.
struct TreeSources {
  std::vector<Named> indexes;
  std::vector<std::pair<int, NodeId>> configs;  // of the manifest there
};

TreeSources AddNodes(const index::GraphReader& reader,
                     const accounting::Tree& tree,
                     v1::GetTreeResponse* response) {
  const index::GraphView& view = reader.view();
  TreeSources sources;
  for (const accounting::TreeNode& node : tree.nodes) {
    v1::TreeNode* out = response->add_nodes();
    *out->mutable_node() = MakeNode(reader, node.node);
    out->set_depth(node.depth);
    out->set_role(accounting::ToString(node.role));
    out->set_is_repeated(node.is_repeated);
    if (view.kind(node.node) == NodeKind::kImageIndex) {
      sources.indexes.push_back({view.PlaceName(view.fields(node.node).place),
                                 view.digest(node.node), /*is_index=*/true});
    }
    if (node.role != accounting::TreeRole::kManifest) continue;
    for (const NodeId child : view.Kept(node.node)) {
      if (view.kind(child) != NodeKind::kConfig) continue;
      sources.configs.emplace_back(response->nodes_size() - 1, child);
    }
  }
  return sources;
}

// Manifests get the platform that their config tells, or else their index: of
// one that is not here, or an attestation, only the index knows.  An index that
// cannot be read leaves it open; `reclaim scan` reports that one.
absl::Status AddPlatforms(const ServiceParts& parts, const std::string& store,
                          const TreeSources& sources,
                          v1::GetTreeResponse* response) {
  for (const auto& [at, node] : sources.configs) {
    RECLAIM_ASSIGN_OR_RETURN(const auto config,
                             parts.graph->GetImageConfig(node));
    if (!config || config->os.empty() || config->os == "unknown") continue;
    response->mutable_nodes(at)->set_platform(PlatformOf(*config));
  }
  const auto content = parts.stores->Content(store);
  if (!content.ok()) return absl::OkStatus();
  std::map<std::string, std::string> listed;
  for (const Named& name : sources.indexes) {
    const auto index = ReadManifest(**content, name);
    if (!index.ok()) continue;
    for (const oci::Descriptor& child : index->children) {
      if (oci::ClassifyMediaType(child.media_type) ==
          oci::ManifestKind::kUnknown) {
        continue;
      }
      listed.emplace(child.digest.ToString(), child.platform);
    }
  }
  for (v1::TreeNode& node : *response->mutable_nodes()) {
    const auto platform = listed.find(node.node().digest());
    if (platform == listed.end() || node.depth() == 0) continue;
    // What is not here is a blob for the graph until it has been seen.
    if (node.role() == "blob") node.set_role("manifest");
    if (node.role() == "manifest" && node.platform().empty()) {
      node.set_platform(platform->second);
    }
  }
  return absl::OkStatus();
}

// A reference as a removal takes it: a short digest or name becomes whole.
absl::StatusOr<std::string> WholeReference(const index::GraphView& view,
                                           index::StoreId store,
                                           const std::string& named) {
  RECLAIM_ASSIGN_OR_RETURN(const std::string text,
                           WholeDigest(view, store, named));
  const auto id = FindSubject(view, store, "", text);
  // "repo@digest" names a link, which is no node.
  if (absl::IsNotFound(id.status())) return text;
  if (!id.ok()) return id.status();
  switch (view.kind(*id)) {
    case NodeKind::kRepository:
      return view.named_key(*id).name;
    case NodeKind::kTag: {
      const index::NamedKey key = view.named_key(*id);
      return absl::StrCat(key.scope, ":", key.name);
    }
    default:
      break;
  }
  if (!IsContent(view.kind(*id))) {
    return absl::InvalidArgumentError(
        absl::StrCat(text, " is a ", index::ToString(view.kind(*id)),
                     "; name repositories, tags or images"));
  }
  // "repo@digest" says more than the digest does.
  return text.find('@') == std::string::npos ? view.digest(*id).ToString()
                                             : text;
}

}  // namespace

absl::StatusOr<v1::GetImageHistoryResponse> MakeImageHistory(
    const ServiceParts& parts, const v1::GetImageHistoryRequest& request) {
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts.stores->Find(request.store()));
  RECLAIM_ASSIGN_OR_RETURN(const store::ContentStore* content,
                           parts.stores->Content(store.name));
  RECLAIM_ASSIGN_OR_RETURN(Named name,
                           NameImage(parts, store, request.reference()));
  const bool is_single = !name.is_index;
  RECLAIM_ASSIGN_OR_RETURN(name,
                           ChoosePlatform(*content, name, request.platform()));
  RECLAIM_ASSIGN_OR_RETURN(const oci::Manifest manifest,
                           ReadManifest(*content, name));
  oci::ImageConfig config;
  if (manifest.config) {
    RECLAIM_ASSIGN_OR_RETURN(
        const std::string bytes,
        content->Read(name.place, manifest.config->digest, kDocumentBytesMax));
    // What is no image config (an artifact's) has no history.
    auto parsed = oci::ParseImageConfig(bytes);
    if (parsed.ok()) config = *std::move(parsed);
  }
  if (is_single) RECLAIM_RETURN_IF_ERROR(CheckPlatform(request, config));
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<accounting::HistoryEntry> history,
                           accounting::MakeHistory(manifest, config));
  v1::GetImageHistoryResponse response;
  for (const accounting::HistoryEntry& entry : history) {
    v1::HistoryEntry* out = response.add_entries();
    if (response.entries_size() == 1) {
      out->set_image_digest(manifest.config ? manifest.config->digest.ToString()
                                            : name.digest.ToString());
    }
    if (entry.created) {
      SetTime(*entry.created, [&] { return out->mutable_create_time(); });
    }
    out->set_created_by(entry.created_by);
    out->set_comment(entry.comment);
    out->set_is_empty_layer(entry.is_empty_layer);
    if (!entry.layer) {
      out->set_size_bytes(0);
      continue;
    }
    out->set_layer_digest(entry.layer->ToString());
    const auto stat = content->Stat(name.place, *entry.layer);
    if (stat.ok()) out->set_size_bytes(stat->bytes.logical_bytes);
  }
  return response;
}

absl::StatusOr<v1::GetTreeResponse> MakeTree(
    const ServiceParts& parts, const v1::GetTreeRequest& request) {
  if (request.max_depth() < 0) {
    return absl::InvalidArgumentError("max_depth: is negative");
  }
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts.stores->Find(request.store()));
  const uint32_t depth = request.max_depth() == 0
                             ? kDepthDefault
                             : static_cast<uint32_t>(request.max_depth());
  v1::GetTreeResponse response;
  TreeSources sources;
  {
    const auto reader = parts.graph->Read();
    RECLAIM_ASSIGN_OR_RETURN(
        const NodeId top,
        FindSubject(reader->view(), store.id, "", request.reference()));
    const accounting::Tree tree =
        accounting::MakeTree(reader->view(), top, depth, kTreeNodeMax);
    response.set_is_truncated(tree.is_truncated);
    sources = AddNodes(*reader, tree, &response);
  }
  RECLAIM_RETURN_IF_ERROR(AddPlatforms(parts, store.name, sources, &response));
  return response;
}

absl::StatusOr<v1::WhatIfResponse> AnswerWhatIf(
    const ServiceParts& parts, const v1::WhatIfRequest& request) {
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts.stores->Find(request.store()));
  if (request.references().empty()) {
    return absl::InvalidArgumentError("references: is empty");
  }
  const gc::GraphDetails details(parts.graph);
  const auto reader = parts.graph->Read();
  gc::PlanInputs inputs;
  inputs.view = &reader->view();
  inputs.details = &details;
  inputs.store = store.id;
  inputs.now = parts.clock->Now();
  for (const index::UnreadableScope& scope : store.unreadable_scopes) {
    inputs.unreadable_scopes.push_back({scope.scope, scope.why});
  }
  std::vector<std::string> references;
  for (const std::string& text : request.references()) {
    RECLAIM_ASSIGN_OR_RETURN(std::string whole,
                             WholeReference(reader->view(), store.id, text));
    references.push_back(std::move(whole));
  }
  RECLAIM_ASSIGN_OR_RETURN(
      const accounting::WhatIfReport report,
      accounting::WhatIf(inputs, parts.policy, references));
  v1::WhatIfResponse response;
  *response.mutable_freed() = ToProto(report.freed);
  *response.mutable_kept() = ToProto(report.kept);
  for (const accounting::RootShare& share : report.keepers) {
    v1::Keeper* keeper = response.add_keepers();
    *keeper->mutable_root() = MakeNode(*reader, share.root.node);
    keeper->set_reason(index::ToString(share.root.reason));
    *keeper->mutable_bytes() = ToProto(share.bytes);
  }
  return response;
}

}  // namespace reclaim::rpc

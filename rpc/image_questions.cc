#include "rpc/image_questions.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "accounting/image_history.h"
#include "accounting/tree.h"
#include "accounting/what_if.h"
#include "base/status_macros.h"
#include "gc/graph_details.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "rpc/convert.h"
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
      if (!platform.empty() && !is_nested && child.platform != platform) {
        continue;
      }
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

// A reference as a removal takes it: a short digest or name becomes whole.
absl::StatusOr<std::string> WholeReference(const index::GraphView& view,
                                           index::StoreId store,
                                           const std::string& text) {
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
  const auto reader = parts.graph->Read();
  RECLAIM_ASSIGN_OR_RETURN(
      const NodeId top,
      FindSubject(reader->view(), store.id, "", request.reference()));
  const uint32_t depth = request.max_depth() == 0
                             ? kDepthDefault
                             : static_cast<uint32_t>(request.max_depth());
  const accounting::Tree tree =
      accounting::MakeTree(reader->view(), top, depth, kTreeNodeMax);
  v1::GetTreeResponse response;
  response.set_is_truncated(tree.is_truncated);
  for (const accounting::TreeNode& node : tree.nodes) {
    v1::TreeNode* out = response.add_nodes();
    *out->mutable_node() = MakeNode(*reader, node.node);
    out->set_depth(node.depth);
    out->set_role(accounting::ToString(node.role));
    out->set_is_repeated(node.is_repeated);
  }
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

#include "rpc/explanation.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "index/mutation.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "rpc/convert.h"
#include "rpc/node_details.h"
#include "rpc/subject.h"

namespace reclaim::rpc {
namespace {

using index::NodeId;

constexpr int kPathCountDefault = 5;
constexpr int kPathCountMax = 100;

std::string When(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", time, absl::UTCTimeZone());
}

absl::StatusOr<int> PathCount(const v1::ExplainRequest& request) {
  if (request.max_paths() < 0 || request.max_paths() > kPathCountMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_paths: ", request.max_paths(), " is not 0 to ", kPathCountMax));
  }
  return request.max_paths() == 0 ? kPathCountDefault : request.max_paths();
}

std::string NameOf(const v1::Node& node) {
  if (node.kind() == v1::NODE_KIND_TAG) {
    return absl::StrCat("the tag ", node.scope(), ":", node.name());
  }
  if (!node.name().empty()) return node.name();
  return node.digest();
}

std::string KeptSentence(const v1::ExplainResponse& response,
                         const ServiceParts& parts) {
  const v1::KeepPath& path = response.paths(0);
  const v1::Node& root = path.nodes(0);
  const std::string more =
      response.root_count() > 1
          ? absl::StrCat(", and ", response.root_count() - 1, " more")
          : "";
  switch (path.reason()) {
    case v1::ROOT_REASON_GRACE: {
      const absl::Time until =
          absl::FromUnixSeconds(root.record_time().seconds()) +
          parts.policy.grace_period;
      return absl::StrCat("Kept: ", NameOf(root),
                          " is younger than the grace period, which ends at ",
                          When(until), more, ".");
    }
    case v1::ROOT_REASON_LEASE:
      return absl::StrCat(
          "Kept by the lease ", root.name(),
          root.has_expire_time()
              ? absl::StrCat(" until ", When(absl::FromUnixSeconds(
                                            root.expire_time().seconds())))
              : ", which does not expire",
          more, ".");
    case v1::ROOT_REASON_PIN:
      return absl::StrCat("Kept by the pin ", root.name(),
                          "; `reclaim pin rm` takes it away", more, ".");
    case v1::ROOT_REASON_CONTAINER:
      return absl::StrCat("Kept by the container ", root.name(), more, ".");
    case v1::ROOT_REASON_OPAQUE:
      return absl::StrCat(
          "Kept: ", NameOf(root),
          " could not be read or understood, so what it may reference is kept",
          more, ".");
    case v1::ROOT_REASON_IN_DOUBT:
      return absl::StrCat(
          "Kept: a manifest that could not be read or understood may "
          "reference ",
          NameOf(root), more, "; `reclaim plan` names the manifest.");
    case v1::ROOT_REASON_UNLINKED:
      return absl::StrCat("Kept: no repository links ", NameOf(root),
                          ", and a manifest that could not be read or "
                          "understood may reference it",
                          more, "; `reclaim plan` names the manifest.");
    default:
      return absl::StrCat("Kept by ", NameOf(root), more, ".");
  }
}

std::string Sentence(const v1::ExplainResponse& response,
                     const ServiceParts& parts) {
  const v1::Node& node = response.node();
  if (!response.quarantine_run_id().empty()) {
    return absl::StrCat(
        "In quarantine: run ", response.quarantine_run_id(),
        " took it; restorable until ",
        When(absl::FromUnixSeconds(response.restorable_until_time().seconds())),
        " with `reclaim restore ", response.quarantine_run_id(), "`.");
  }
  if (node.state() == v1::NODE_STATE_ABSENT) {
    return "Not here: something references it, but the store has no such "
           "bytes.";
  }
  if (response.is_kept()) return KeptSentence(response, parts);
  if (node.kind() == v1::NODE_KIND_REPOSITORY) {
    return "A repository keeps nothing: its tags do.";
  }
  const std::string since =
      response.has_unreferenced_since_time()
          ? absl::StrCat(" since ",
                         When(absl::FromUnixSeconds(
                             response.unreferenced_since_time().seconds())))
          : "";
  return absl::StrCat("Unreferenced", since,
                      ": no root reaches it, so the next prune takes it.");
}

// The run that took a quarantined node, if it is on record.
absl::Status AddQuarantine(const ServiceParts& parts, const std::string& store,
                           v1::ExplainResponse* response) {
  RECLAIM_ASSIGN_OR_RETURN(const oci::Digest digest,
                           oci::Digest::Parse(response->node().digest()));
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<gc::QuarantineEntry> entries,
                           parts.collector->FindQuarantined(
                               store, response->node().place(), digest));
  for (const gc::QuarantineEntry& entry : entries) {
    if (!entry.item.removal || entry.is_superseded ||
        entry.item.removal->kind != store::RemovalKind::kBlob) {
      continue;
    }
    response->set_quarantine_run_id(entry.run_id);
    SetTime(entry.restorable_until,
            [&] { return response->mutable_restorable_until_time(); });
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

// "container/NAME": a container's key is its id, and only its record knows what
// people call it.
absl::StatusOr<NodeId> FindContainer(const ServiceParts& parts,
                                     index::StoreId store,
                                     absl::string_view name) {
  std::vector<NodeId> all;
  {
    const auto reader = parts.graph->Read();
    reader->view().ForEachNamed(index::NodeKind::kContainer, store,
                                [&](NodeId id) {
                                  all.push_back(id);
                                  return true;
                                });
  }
  std::vector<NodeId> found;
  for (const NodeId id : all) {
    const absl::StatusOr<index::NamedRecord> record = parts.graph->GetNamed(id);
    if (absl::IsNotFound(record.status())) continue;  // it went meanwhile
    RECLAIM_RETURN_IF_ERROR(record.status());
    const auto* container = std::get_if<index::PutContainer>(&*record);
    if (container != nullptr && container->name == name) found.push_back(id);
  }
  if (found.size() == 1) return found[0];
  if (found.empty()) {
    return absl::NotFoundError(absl::StrCat("no container is called \"",
                                            absl::CHexEscape(name),
                                            "\"; `reclaim df -v` lists them"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(found.size(), " containers are called \"",
                   absl::CHexEscape(name), "\"; say container/ID"));
}

absl::StatusOr<NodeId> FindExplained(const ServiceParts& parts,
                                     index::StoreId store,
                                     const v1::ExplainRequest& request) {
  const absl::StatusOr<NodeId> found = FindSubject(
      parts.graph->Read()->view(), store, request.place(), request.subject());
  absl::string_view name = request.subject();
  if (absl::IsNotFound(found.status()) &&
      absl::ConsumePrefix(&name, "container/")) {
    return FindContainer(parts, store, name);
  }
  return found;
}

}  // namespace

absl::StatusOr<v1::ExplainResponse> MakeExplanation(
    const ServiceParts& parts, const v1::ExplainRequest& request) {
  RECLAIM_ASSIGN_OR_RETURN(const int path_count, PathCount(request));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts.stores->Find(request.store()));
  RECLAIM_ASSIGN_OR_RETURN(const NodeId id,
                           FindExplained(parts, store.id, request));
  RECLAIM_ASSIGN_OR_RETURN(
      const gc::Explanation explanation,
      parts.collector->Explain(id, parts.policy, path_count));
  v1::ExplainResponse response;
  {
    const auto reader = parts.graph->Read();
    if (!reader->view().Exists(id)) {
      return absl::NotFoundError("it went away while it was explained");
    }
    *response.mutable_node() = MakeNode(*reader, id);
    response.set_is_kept(explanation.is_kept);
    response.set_root_count(explanation.root_count);
    for (const gc::KeepPath& path : explanation.paths) {
      v1::KeepPath* out = response.add_paths();
      out->set_reason(ToProto(path.reason));
      for (const NodeId node : path.nodes) {
        *out->add_nodes() = MakeNode(*reader, node);
      }
    }
    for (const NodeId keeper : explanation.dead_keepers) {
      *response.add_dead_keepers() = MakeNode(*reader, keeper);
    }
    if (!explanation.is_kept) {
      SetTime(reader->view().fields(id).unreferenced_since,
              [&] { return response.mutable_unreferenced_since_time(); });
    }
  }
  AddDetails(*parts.graph, id, response.mutable_node());
  if (response.node().state() == v1::NODE_STATE_QUARANTINED) {
    RECLAIM_RETURN_IF_ERROR(AddQuarantine(parts, store.name, &response));
  }
  response.set_summary(Sentence(response, parts));
  return response;
}

}  // namespace reclaim::rpc

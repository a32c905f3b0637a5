#include "rpc/node_details.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"

namespace reclaim::rpc {
namespace {

const index::Labels& NoLabels() {
  static const auto* const none = new index::Labels;
  return *none;
}

struct LabelVisitor {
  template <typename Put>
  const index::Labels& operator()(const Put&) const {
    return NoLabels();
  }
  const index::Labels& operator()(const index::PutContainer& put) const {
    return put.labels;
  }
  const index::Labels& operator()(const index::PutSnapshot& put) const {
    return put.labels;
  }
  const index::Labels& operator()(const index::PutVolume& put) const {
    return put.labels;
  }
  const index::Labels& operator()(const index::PutNetwork& put) const {
    return put.labels;
  }
  const index::Labels& operator()(const index::PutLease& put) const {
    return put.labels;
  }
};

}  // namespace

const index::Labels& LabelsOf(const index::NamedRecord& record) {
  return std::visit(LabelVisitor(), record);
}

std::string PlatformOf(const index::PutImageConfig& config) {
  return absl::StrCat(config.os, "/", config.architecture,
                      config.variant.empty() ? "" : "/", config.variant);
}

void AddDetails(const index::ReferenceGraph& graph, index::NodeId id,
                v1::Node* node) {
  const bool is_content = node->kind() <= v1::NODE_KIND_EXTENT;
  if (!is_content) {
    const auto record = graph.GetNamed(id);
    if (!record.ok()) return;
    const index::Labels& labels = LabelsOf(*record);
    node->mutable_labels()->insert(labels.begin(), labels.end());
    return;
  }
  if (const auto type = graph.GetMediaType(id); type.ok()) {
    node->set_media_type(*type);
  }
  if (node->kind() != v1::NODE_KIND_CONFIG) return;
  const auto config = graph.GetImageConfig(id);
  if (!config.ok() || !*config) return;
  node->mutable_labels()->insert((*config)->labels.begin(),
                                 (*config)->labels.end());
}

}  // namespace reclaim::rpc

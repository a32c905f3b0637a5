#include "gc/tenants.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/image_configs.h"
#include "gc/policy_name.h"

namespace reclaim::gc {
namespace {

using index::GraphView;
using index::NodeId;
using index::NodeKind;

constexpr uint64_t kTagsPerSlice = 1024;

absl::Status Wrong(absl::string_view what, const std::string& name,
                   absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(what, " ", name, ": ", why));
}

// "key" or "key=value".
bool Carries(const index::Labels& labels, const std::string& wanted) {
  const size_t at = wanted.find('=');
  const auto it = labels.find(wanted.substr(0, at));
  return it != labels.end() &&
         (at == std::string::npos || it->second == wanted.substr(at + 1));
}

struct TagName {
  NodeId tag = index::kNoNode;
  std::string repository;
};

std::vector<TagName> TagsOf(const GraphView& view, index::StoreId store) {
  std::vector<TagName> tags;
  view.ForEachNamed(NodeKind::kTag, store, [&](NodeId tag) {
    tags.push_back({tag, view.named_key(tag).scope});
    return true;
  });
  return tags;
}

// Which images carry which labels; each image is read once.
class LabelReader {
 public:
  LabelReader(const GraphView& view, const DetailSource& details)
      : view_(view), details_(details) {}

  absl::StatusOr<bool> CarriesOneOf(NodeId image,
                                    const std::vector<std::string>& wanted) {
    const auto [it, is_new] = configs_.try_emplace(image);
    if (is_new) {
      RECLAIM_ASSIGN_OR_RETURN(it->second, ConfigsOf(view_, details_, image));
    }
    for (const index::PutImageConfig& config : it->second) {
      for (const std::string& label : wanted) {
        if (Carries(config.labels, label)) return true;
      }
    }
    return false;
  }

 private:
  const GraphView& view_;
  const DetailSource& details_;
  std::map<NodeId, std::vector<index::PutImageConfig>> configs_;
};

}  // namespace

absl::StatusOr<TenantBook> TenantBook::Create(const TenantSettings& settings) {
  TenantBook book;
  std::set<std::string> names;
  for (const Tenant& tenant : settings.tenants) {
    RECLAIM_RETURN_IF_ERROR(CheckPolicyName("tenant", tenant.name));
    if (!names.insert(tenant.name).second) {
      return Wrong("tenant", tenant.name, "the name is given twice");
    }
    if (tenant.repositories.empty() && tenant.labels.empty()) {
      return Wrong("tenant", tenant.name,
                   "give it repositories or labels; [\"**\"] is all "
                   "repositories");
    }
    // It would ask for all of the tenant's tags.
    if (tenant.quota_bytes == 0) {
      return Wrong("tenant", tenant.name,
                   "a quota is 1 byte or more; without one leave it out");
    }
    for (const std::string& label : tenant.labels) {
      if (!label.empty() && label[0] != '=') continue;
      return Wrong("tenant", tenant.name,
                   "a label is written as \"key\" or \"key=value\"");
    }
    CompiledTenant compiled{tenant, std::nullopt};
    if (!tenant.repositories.empty()) {
      auto patterns =
          NamePatterns::Parse(tenant.repositories, NameKind::kRepository);
      if (!patterns.ok()) {
        return Wrong("tenant", tenant.name, patterns.status().message());
      }
      compiled.repositories = *std::move(patterns);
    }
    book.tenants_.push_back(std::move(compiled));
  }
  names.clear();
  for (const RepositoryQuota& quota : settings.quotas) {
    RECLAIM_RETURN_IF_ERROR(CheckPolicyName("quota", quota.name));
    if (!names.insert(quota.name).second) {
      return Wrong("quota", quota.name, "the name is given twice");
    }
    if (quota.quota_bytes.value_or(0) == 0) {
      return Wrong("quota", quota.name, "say how many bytes: limit = \"10GB\"");
    }
    auto patterns =
        NamePatterns::Parse(quota.repositories, NameKind::kRepository);
    if (!patterns.ok()) {
      return Wrong("quota", quota.name, patterns.status().message());
    }
    book.quotas_.push_back({*std::move(patterns), *quota.quota_bytes});
  }
  return book;
}

absl::StatusOr<std::vector<TagGroup>> TenantBook::Tenants(
    const GraphView& view, const DetailSource& details,
    index::StoreId store) const {
  std::vector<TagGroup> groups;
  for (const CompiledTenant& one : tenants_) {
    groups.push_back({one.tenant.name, true, one.tenant.quota_bytes, {}});
  }
  LabelReader labels(view, details);
  uint64_t step = 0;
  for (const TagName& name : TagsOf(view, store)) {
    if (++step % kTagsPerSlice == 0) view.Yield();
    if (!view.Exists(name.tag)) continue;
    for (size_t i = 0; i < tenants_.size(); ++i) {
      const CompiledTenant& one = tenants_[i];
      bool is_in = one.repositories && one.repositories->Match(name.repository);
      for (const NodeId image : view.Kept(name.tag)) {
        if (is_in || one.tenant.labels.empty()) break;
        RECLAIM_ASSIGN_OR_RETURN(is_in,
                                 labels.CarriesOneOf(image, one.tenant.labels));
      }
      if (is_in) groups[i].tags.push_back(name.tag);
    }
  }
  for (TagGroup& group : groups) {
    std::sort(group.tags.begin(), group.tags.end());
  }
  return groups;
}

std::optional<uint64_t> TenantBook::QuotaOf(
    absl::string_view repository) const {
  for (const CompiledQuota& quota : quotas_) {
    if (quota.repositories.Match(repository)) return quota.quota_bytes;
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<TagGroup>> TenantBook::WithQuota(
    const GraphView& view, const DetailSource& details,
    index::StoreId store) const {
  std::map<std::string, TagGroup> repositories;
  if (!quotas_.empty()) {
    for (TagName& name : TagsOf(view, store)) {
      const std::optional<uint64_t> quota = QuotaOf(name.repository);
      if (!quota) continue;
      TagGroup& group = repositories[name.repository];
      group.name = std::move(name.repository);
      group.quota_bytes = quota;
      group.tags.push_back(name.tag);
    }
  }
  std::vector<TagGroup> groups;
  for (auto& [name, group] : repositories) {
    std::sort(group.tags.begin(), group.tags.end());
    groups.push_back(std::move(group));
  }
  RECLAIM_ASSIGN_OR_RETURN(std::vector<TagGroup> tenants,
                           Tenants(view, details, store));
  for (TagGroup& tenant : tenants) {
    if (tenant.quota_bytes) groups.push_back(std::move(tenant));
  }
  return groups;
}

}  // namespace reclaim::gc

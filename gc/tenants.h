// gc/tenants.h — who the content is for, and how much of it each may have.
//
// A tenant is a set of tags: those of its repositories, and those of images
// that carry one of its labels.  Tenants may overlap, and tags may be of none.
// What counts for a quota is what the tags reach, each byte once in each tenant
// or repository (SEMANTICS.md, case 145).

#ifndef RECLAIM_GC_TENANTS_H_
#define RECLAIM_GC_TENANTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gc/name_pattern.h"
#include "gc/plan.h"
#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::gc {

struct Tenant {
  std::string name;  // [a-z0-9][a-z0-9._-]{0,62}
  // Patterns (gc/name_pattern.h), and labels as "key" or "key=value"; at least
  // one of either.
  std::vector<std::string> repositories;
  std::vector<std::string> labels;
  std::optional<uint64_t> quota_bytes;
  // Filled in by whoever keeps it (gc/policy_book.h).
  std::string etag;
  std::string actor;
  absl::Time changed = absl::InfinitePast();
  bool is_from_file = false;
};

// Of each repository that matches; the first that does decides.
struct RepositoryQuota {
  std::string name;
  std::vector<std::string> repositories;  // empty: all
  std::optional<uint64_t> quota_bytes;    // has to be set
  // Filled in by whoever keeps it.
  std::string etag;
  std::string actor;
  absl::Time changed = absl::InfinitePast();
  bool is_from_file = false;
};

struct TenantSettings {
  std::vector<Tenant> tenants;
  std::vector<RepositoryQuota> quotas;
};

// The tags of one tenant or repository in one store.
struct TagGroup {
  std::string name;
  bool is_tenant = false;
  std::optional<uint64_t> quota_bytes;
  std::vector<index::NodeId> tags;  // ascending
};

// Immutable; thread-safe.
class TenantBook {
 public:
  TenantBook() = default;  // nobody
  // INVALID_ARGUMENT naming the tenant or quota and what is wrong.
  static absl::StatusOr<TenantBook> Create(const TenantSettings& settings);

  // Each tenant, in the order of the settings.  Yields.
  absl::StatusOr<std::vector<TagGroup>> Tenants(const index::GraphView& view,
                                                const DetailSource& details,
                                                index::StoreId store) const;
  // Repositories and then tenants that have a quota.  Yields.
  absl::StatusOr<std::vector<TagGroup>> WithQuota(const index::GraphView& view,
                                                  const DetailSource& details,
                                                  index::StoreId store) const;
  std::optional<uint64_t> QuotaOf(absl::string_view repository) const;

 private:
  struct CompiledTenant {
    Tenant tenant;
    std::optional<NamePatterns> repositories;  // unset: none
  };
  struct CompiledQuota {
    NamePatterns repositories;
    uint64_t quota_bytes = 0;
  };

  std::vector<CompiledTenant> tenants_;
  std::vector<CompiledQuota> quotas_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_TENANTS_H_

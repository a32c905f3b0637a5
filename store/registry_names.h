// store/registry_names.h — private: single names of a distribution registry.

#ifndef RECLAIM_STORE_REGISTRY_NAMES_H_
#define RECLAIM_STORE_REGISTRY_NAMES_H_

#include <optional>
#include <string>

#include "store/name_reader.h"
#include "store/rooted_dir.h"

namespace reclaim::store {

class RegistryNames final : public NameReader {
 public:
  explicit RegistryNames(const RootedDir* root) : root_(root) {}

  absl::StatusOr<std::optional<RepositoryFact>> FindRepository(
      const std::string& repository) const override;
  absl::StatusOr<std::optional<TagFact>> FindTag(
      const std::string& repository, const std::string& tag) const override;
  absl::StatusOr<std::optional<MembershipFact>> FindLink(
      const std::string& repository, const oci::Digest& digest,
      MembershipKind kind) const override;
  absl::StatusOr<bool> HoldsLink(const std::string& repository,
                                 const oci::Digest& digest,
                                 MembershipKind kind) const override;

 private:
  const RootedDir* root_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_REGISTRY_NAMES_H_

#include "store/tag_histories.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::store {
namespace {

std::string HistoryFolder(const std::string& repository,
                          const std::string& tag) {
  return absl::StrCat(repository, "/_manifests/tags/", tag, "/index");
}

}  // namespace

void TagHistories::Forget() {
  base::MutexLock lock(&mutex_);
  is_listed_ = false;
  tags_ = {};
  having_ = {};
}

absl::Status TagHistories::ListTag(const std::string& repository,
                                   uint32_t number) {
  const std::string history = HistoryFolder(repository, tags_[number]);
  RECLAIM_ASSIGN_OR_RETURN(
      const std::optional<std::vector<DirEntry>> algorithms,
      root_.ListIfThere(history));
  if (!algorithms) return absl::OkStatus();
  for (const DirEntry& algorithm : *algorithms) {
    if (algorithm.type != FileType::kFolder) continue;
    RECLAIM_ASSIGN_OR_RETURN(
        const std::optional<std::vector<DirEntry>> links,
        root_.ListIfThere(absl::StrCat(history, "/", algorithm.name)));
    if (!links) continue;
    for (const DirEntry& link : *links) {
      // What is no digest is nobody's: no removal can name it.
      const absl::StatusOr<oci::Digest> digest =
          oci::Digest::Parse(absl::StrCat(algorithm.name, ":", link.name));
      if (digest.ok()) having_[*digest].push_back(number);
    }
  }
  return absl::OkStatus();
}

absl::Status TagHistories::List(const std::string& repository) {
  is_listed_ = false;
  tags_.clear();
  having_.clear();
  RECLAIM_ASSIGN_OR_RETURN(std::optional<std::vector<DirEntry>> tags,
                           root_.ListIfThere(repository + "/_manifests/tags"));
  if (tags) {
    for (DirEntry& tag : *tags) {
      if (tag.type != FileType::kFolder) continue;
      tags_.push_back(std::move(tag.name));
      RECLAIM_RETURN_IF_ERROR(
          ListTag(repository, static_cast<uint32_t>(tags_.size() - 1)));
    }
  }
  repository_ = repository;
  is_listed_ = true;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> TagHistories::Find(
    const std::string& repository, const oci::Digest& digest) {
  std::vector<std::string> found;
  {
    base::MutexLock lock(&mutex_);
    if (!is_listed_ || repository_ != repository) {
      RECLAIM_RETURN_IF_ERROR(List(repository));
    }
    const auto having = having_.find(digest);
    if (having == having_.end()) return found;
    for (const uint32_t number : having->second) {
      found.push_back(absl::StrCat(HistoryFolder(repository, tags_[number]),
                                   "/", oci::ToString(digest.algorithm()), "/",
                                   digest.hex()));
    }
  }
  std::vector<std::string> there;
  for (std::string& path : found) {
    RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_.Exists(path));
    if (is_there) there.push_back(std::move(path));
  }
  return there;
}

}  // namespace reclaim::store

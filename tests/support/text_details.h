// tests/support/text_details.h — labels, times and written names for the nodes
// of a TextGraph, by their letter or name.

#ifndef RECLAIM_TESTS_SUPPORT_TEXT_DETAILS_H_
#define RECLAIM_TESTS_SUPPORT_TEXT_DETAILS_H_

#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gc/plan.h"
#include "tests/support/graph_text.h"

namespace reclaim::tests {

class TextDetails final : public gc::DetailSource {
 public:
  // `graph` is not owned.
  explicit TextDetails(const TextGraph* graph) : graph_(graph) {}

  absl::StatusOr<index::NamedRecord> GetNamed(index::NodeId id) const override {
    const std::string name = graph_->Name(id);
    switch (graph_->view().kind(id)) {
      case index::NodeKind::kContainer: {
        index::PutContainer put;
        put.labels = Find(labels, name);
        put.image_reference = Find(written, name);
        put.created = TimeOf(created, name);
        put.exited = TimeOf(exited, name);
        return index::NamedRecord(put);
      }
      case index::NodeKind::kVolume: {
        index::PutVolume put;
        put.labels = Find(labels, name);
        put.created = TimeOf(created, name);
        return index::NamedRecord(put);
      }
      case index::NodeKind::kNetwork: {
        index::PutNetwork put;
        put.labels = Find(labels, name);
        put.created = TimeOf(created, name);
        return index::NamedRecord(put);
      }
      default:
        return absl::NotFoundError(name);
    }
  }

  absl::StatusOr<std::optional<index::PutImageConfig>> GetImageConfig(
      index::NodeId config) const override {
    const std::string name = graph_->Name(config);
    if (without_config.count(name) > 0) return std::nullopt;
    index::PutImageConfig put;
    put.labels = Find(labels, name);
    put.os = attestations.count(name) > 0 ? "unknown" : "linux";
    put.created = TimeOf(created, name);
    return std::optional<index::PutImageConfig>(put);
  }

  std::map<std::string, index::Labels> labels;
  std::map<std::string, absl::Time> created;
  std::map<std::string, absl::Time> exited;
  std::map<std::string, std::string> written;  // a container's image reference
  std::set<std::string> attestations;          // configs of "unknown" platforms
  std::set<std::string> without_config;        // configs that nobody could read

 private:
  template <typename T>
  static T Find(const std::map<std::string, T>& map, const std::string& name) {
    const auto it = map.find(name);
    return it == map.end() ? T() : it->second;
  }
  static std::optional<absl::Time> TimeOf(
      const std::map<std::string, absl::Time>& times, const std::string& name) {
    const auto it = times.find(name);
    if (it == times.end()) return std::nullopt;
    return it->second;
  }
  const TextGraph* graph_;
};

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_TEXT_DETAILS_H_

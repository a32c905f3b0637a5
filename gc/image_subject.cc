#include "gc/image_subject.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "oci/name.h"

namespace reclaim::gc {
namespace {

using index::kNoNode;
using index::NodeId;
using index::NodeKind;

// The names of an image, or the one that is judged, and when it was pushed.
void AddNames(const index::GraphView& view, NodeId image, NodeId only_tag,
              FilterSubject* subject) {
  view.ForEachKeeper(image, [&](NodeId keeper) {
    if (view.kind(keeper) != NodeKind::kTag || !view.Exists(keeper)) {
      return true;
    }
    if (only_tag != kNoNode && keeper != only_tag) return true;
    const index::NamedKey key = view.named_key(keeper);
    subject->references.push_back(oci::JoinTag(key.scope, key.name));
    const absl::Time pushed = view.fields(keeper).recorded;
    const auto [it, is_new] =
        subject->times.try_emplace(TimeClock::kPushed, pushed);
    if (!is_new) it->second = std::max(it->second, pushed);
    return true;
  });
  if (only_tag != kNoNode) return;
  view.ForEachRepositoryOf(image, [&](NodeId repository) {
    subject->references.push_back(absl::StrCat(
        view.named_key(repository).name, "@", view.digest(image).ToString()));
    return true;
  });
}

}  // namespace

FilterSubject SubjectOfImage(const index::GraphView& view, NodeId image,
                             NodeId only_tag) {
  const index::NodeFields fields = view.fields(image);
  FilterSubject subject;
  subject.times[TimeClock::kRecorded] = fields.recorded;
  if (fields.used != absl::InfinitePast()) {
    subject.times[TimeClock::kUsed] = fields.used;
    subject.times[TimeClock::kPulled] = fields.used;
  }
  if (fields.unreferenced_since != absl::InfiniteFuture()) {
    subject.times[TimeClock::kUntagged] = fields.unreferenced_since;
  }
  AddNames(view, image, only_tag, &subject);
  return subject;
}

void AddConfigs(const std::vector<index::PutImageConfig>& configs,
                FilterSubject* subject) {
  for (const index::PutImageConfig& config : configs) {
    subject->labels.push_back(&config.labels);
  }
  const std::optional<absl::Time> created = CreatedOf(configs);
  if (created) subject->times[TimeClock::kCreated] = *created;
}

std::optional<absl::Time> CreatedOf(
    const std::vector<index::PutImageConfig>& configs) {
  std::optional<absl::Time> created;
  for (const index::PutImageConfig& config : configs) {
    const absl::Time time = config.created.value_or(absl::InfiniteFuture());
    created = std::max(created.value_or(time), time);
  }
  return created;
}

}  // namespace reclaim::gc

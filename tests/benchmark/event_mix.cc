#include "tests/benchmark/event_mix.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace reclaim::benchmark {
namespace {

struct Weight {
  EventKind kind;
  double weight;
};
constexpr Weight kWeights[kEventKindCount] = {
    {EventKind::kPush, 3},
    {EventKind::kTagMove, 1},
    {EventKind::kTagDelete, 1},
    {EventKind::kRepositoryDelete, 0.05},
    {EventKind::kExistenceCheck, 10},
    {EventKind::kPull, 30},
};
constexpr double kWeightSum = 45.05;

constexpr double kKnownBaseShare = 0.9;
constexpr double kAbortedShare = 0.015;
// Of pushes: the tag has an image, which is left without a name.
constexpr double kTagAgainShare = 0.17;
constexpr double kBurstShare = 0.05;  // of the time
constexpr double kBurstFactor = 20;
// As in a population (tests/benchmark/registry_population.cc).
constexpr double kDerivedBaseShare = 0.6;
constexpr size_t kBaseLayersKept = 5;
constexpr size_t kOwnLayersMax = 113;

}  // namespace

EventMix::EventMix(const EventMixOptions& options)
    : options_(options),
      draws_(options.seed),
      phase_end_seconds_(absl::ToDoubleSeconds(options.cycle) *
                         (1 - kBurstShare)) {
  RECLAIM_CHECK(options_.repositories > 0 && options_.bases > 0 &&
                    options_.pushes_per_repository > 0,
                "something is there to be pulled and moved");
  RECLAIM_CHECK(
      options_.events_per_second > 0 && options_.cycle > absl::ZeroDuration(),
      "time goes on");
}

uint64_t EventMix::fill_count() const {
  return options_.bases +
         uint64_t{options_.repositories} * options_.pushes_per_repository;
}

RegistryEvent EventMix::Next() {
  RegistryEvent event;
  if (told_count_ < fill_count()) {
    Fill(&event);
  } else {
    Advance();
    event.at = absl::Seconds(seconds_);
    event.is_in_burst = is_in_burst_;
    Act(&event);
  }
  ++told_count_;
  return event;
}

void EventMix::Fill(RegistryEvent* event) {
  if (told_count_ < options_.bases) return PushBase(event);
  const uint64_t pushes = told_count_ - options_.bases;
  if (pushes % options_.pushes_per_repository == 0) BeginRepository();
  Push(/*may_abort=*/false, &repositories_.back(), event);
}

void EventMix::Advance() {
  const double cycle_seconds = absl::ToDoubleSeconds(options_.cycle);
  const double quiet_rate = options_.events_per_second /
                            (1 - kBurstShare + kBurstShare * kBurstFactor);
  for (;;) {
    const double rate = is_in_burst_ ? quiet_rate * kBurstFactor : quiet_rate;
    const double next = seconds_ + draws_.Exponential() / rate;
    if (next < phase_end_seconds_) {
      seconds_ = next;
      return;
    }
    // Drawn anew from there: events do not know how long nothing came.
    seconds_ = phase_end_seconds_;
    is_in_burst_ = !is_in_burst_;
    phase_end_seconds_ +=
        cycle_seconds * (is_in_burst_ ? kBurstShare : 1 - kBurstShare);
  }
}

EventKind EventMix::DrawKind() {
  double left = draws_.Unit() * kWeightSum;
  for (const Weight& weight : kWeights) {
    if (left < weight.weight) return weight.kind;
    left -= weight.weight;
  }
  return EventKind::kPull;
}

void EventMix::Act(RegistryEvent* event) {
  event->kind = DrawKind();
  switch (event->kind) {
    case EventKind::kPush:
      break;
    case EventKind::kTagMove:
      if (MoveTag(event)) return;
      break;
    case EventKind::kTagDelete:
      if (DeleteTag(event)) return;
      break;
    case EventKind::kRepositoryDelete:
      if (DeleteRepository(event)) return;
      break;
    case EventKind::kExistenceCheck:
      return Check(event);
    case EventKind::kPull:
      return Pull(event);
  }
  Push(/*may_abort=*/true, PushedTo(), event);
}

PushedBlob EventMix::NewBlob(uint64_t size_bytes) {
  PushedBlob blob;
  blob.number = next_content_++;
  blob.size_bytes = std::max<uint64_t>(1, size_bytes);
  blob.is_new = true;
  return blob;
}

void EventMix::AddNewLayers(uint32_t count, std::vector<PushedBlob>* layers) {
  for (uint32_t i = 0; i < count && layers->size() < kOwnLayersMax; ++i) {
    layers->push_back(NewBlob(draws_.LayerBytes()));
  }
}

EventMix::Repository* EventMix::BeginRepository() {
  Repository repository;
  repository.number = next_repository_++;
  // There is none yet for the repository of the bases, which needs none.
  if (!bases_.empty()) repository.base = draws_.Rank(bases_.size());
  repositories_.push_back(std::move(repository));
  return &repositories_.back();
}

EventMix::Repository* EventMix::PushedTo() {
  const size_t others = repositories_.size() - 1;
  if (others < options_.repositories) return BeginRepository();
  return &repositories_[1 + draws_.Below(others)];
}

EventMix::Repository* EventMix::AnyWith(size_t tag_count) {
  const size_t others = repositories_.size() - 1;
  if (others == 0) return nullptr;
  const size_t first = draws_.Below(others);
  for (size_t i = 0; i < others; ++i) {
    Repository& repository = repositories_[1 + (first + i) % others];
    if (repository.tags.size() >= tag_count) return &repository;
  }
  return nullptr;
}

void EventMix::PushBase(RegistryEvent* event) {
  if (repositories_.empty()) BeginRepository();
  std::vector<PushedBlob> layers;
  if (!bases_.empty() && draws_.Chance(kDerivedBaseShare)) {
    layers = bases_[draws_.Below(bases_.size())];
    if (layers.size() > kBaseLayersKept) layers.resize(kBaseLayersKept);
  }
  AddNewLayers(draws_.Between(2, 8), &layers);
  event->blobs = {NewBlob(draws_.Between(1'000, 15'000))};
  event->blobs.insert(event->blobs.end(), layers.begin(), layers.end());
  for (PushedBlob& layer : layers) layer.is_new = false;
  bases_.push_back(std::move(layers));
  NameNewImage(/*is_tag_new=*/true, &repositories_.front(), event);
}

void EventMix::Push(bool may_abort, Repository* repository,
                    RegistryEvent* event) {
  // A CI build: a prefix of the own layers of the one before, and new ones.
  std::vector<PushedBlob> own = repository->own;
  if (!own.empty()) own.resize(draws_.Below(own.size() + 1));
  AddNewLayers(draws_.Between(1, 6), &own);
  std::vector<PushedBlob>& blobs = event->blobs;
  blobs = {NewBlob(draws_.Between(1'000, 15'000))};
  if (draws_.Chance(kKnownBaseShare)) {
    const std::vector<PushedBlob>& base = bases_[repository->base];
    blobs.insert(blobs.end(), base.begin(), base.end());
  } else {
    AddNewLayers(draws_.Between(2, 8), &blobs);
  }
  blobs.insert(blobs.end(), own.begin(), own.end());
  const bool is_tag_new =
      repository->tags.empty() || !draws_.Chance(kTagAgainShare);
  event->kind = EventKind::kPush;
  event->is_aborted = may_abort && draws_.Chance(kAbortedShare);
  if (event->is_aborted) {
    event->repository = repository->number;
    event->tag =
        is_tag_new ? repository->next_tag : repository->tags.back().number;
    return;
  }
  for (PushedBlob& layer : own) layer.is_new = false;
  repository->own = std::move(own);
  NameNewImage(is_tag_new, repository, event);
}

void EventMix::NameNewImage(bool is_tag_new, Repository* repository,
                            RegistryEvent* event) {
  if (is_tag_new) {
    Tag tag;
    tag.number = repository->next_tag++;
    repository->tags.push_back(tag);
  }
  Tag& tag = repository->tags.back();
  tag.image = next_content_++;
  event->repository = repository->number;
  event->tag = tag.number;
  event->content = tag.image;
}

bool EventMix::MoveTag(RegistryEvent* event) {
  Repository* const repository = AnyWith(2);
  if (repository == nullptr) return false;
  std::vector<Tag>& tags = repository->tags;
  const size_t moved = draws_.Below(tags.size());
  const size_t other =
      (moved + 1 + draws_.Below(tags.size() - 1)) % tags.size();
  tags[moved].image = tags[other].image;
  event->repository = repository->number;
  event->tag = tags[moved].number;
  event->content = tags[moved].image;
  return true;
}

bool EventMix::DeleteTag(RegistryEvent* event) {
  Repository* const repository = AnyWith(1);
  if (repository == nullptr) return false;
  std::vector<Tag>& tags = repository->tags;
  const auto tag = tags.begin() + draws_.Below(tags.size());
  event->repository = repository->number;
  event->tag = tag->number;
  event->content = tag->image;
  tags.erase(tag);
  return true;
}

bool EventMix::DeleteRepository(RegistryEvent* event) {
  Repository* const repository = AnyWith(0);
  if (repository == nullptr) return false;
  event->repository = repository->number;
  std::swap(*repository, repositories_.back());
  repositories_.pop_back();
  return true;
}

// Mostly of what a client is about to push: a base.
void EventMix::Check(RegistryEvent* event) {
  if (draws_.Chance(kKnownBaseShare)) {
    const std::vector<PushedBlob>& base = bases_[draws_.Rank(bases_.size())];
    event->content = base[draws_.Below(base.size())].number;
  } else {
    event->content = draws_.Below(next_content_);
  }
}

// Bases most of all, and few of the others again and again.
void EventMix::Pull(RegistryEvent* event) {
  const Repository* repository =
      &repositories_[draws_.Rank(repositories_.size())];
  if (repository->tags.empty()) repository = &repositories_.front();
  const Tag& tag = repository->tags[draws_.Below(repository->tags.size())];
  event->repository = repository->number;
  event->tag = tag.number;
  event->content = tag.image;
}

}  // namespace reclaim::benchmark

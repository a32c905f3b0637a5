#include "tests/benchmark/event_mix.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace reclaim::benchmark {
namespace {

constexpr int kRepositoryCount = 4;  // of a client
constexpr int kFirstPushCount = 2;   // into each
// In hundredths of an event of PERFORMANCE.md 1.4.
constexpr struct {
  MixKind kind;
  uint32_t weight;
} kShares[] = {
    {MixKind::kPush, 300},       {MixKind::kTagMove, 100},
    {MixKind::kTagRemoval, 100}, {MixKind::kRepositoryRemoval, 5},
    {MixKind::kCheck, 1000},     {MixKind::kPull, 3000},
};
constexpr uint32_t kWeightSum = 4505;
// Of a thousand pushes.
constexpr uint32_t kBrokenPushes = 15;
constexpr uint32_t kPushesOnKnown = 900;

// The rows that this many records make: one event each.
CommitRows RowsOf(size_t content, size_t named) {
  CommitRows rows;
  rows.content = static_cast<int>(content);
  rows.named = static_cast<int>(named);
  rows.events = rows.content + rows.named;
  return rows;
}

}  // namespace

EventMix::EventMix(const MixOptions& options)
    : options_(options), random_(static_cast<uint32_t>(options.client) + 1) {
  RECLAIM_CHECK(!options_.bases.empty(), "there is something to stand on");
  repositories_.reserve(kRepositoryCount);
  for (int i = 0; i < kRepositoryCount; ++i) {
    const std::string name = absl::StrCat("team", options_.client, "/mixed", i);
    PushOptions push;
    push.repository = name;
    push.bases = options_.bases;
    repositories_.push_back(
        Repository{name, PushSource(std::move(push)), {}, {}, false});
  }
}

uint32_t EventMix::Draw(uint32_t below) {
  return static_cast<uint32_t>(random_()) % below;
}

MixKind EventMix::DrawKind() {
  uint32_t drawn = Draw(kWeightSum);
  for (const auto& share : kShares) {
    if (drawn >= share.weight) {
      drawn -= share.weight;
      continue;
    }
    const bool is_broken =
        share.kind == MixKind::kPush && Draw(1000) < kBrokenPushes;
    return is_broken ? MixKind::kBrokenPush : share.kind;
  }
  return MixKind::kPush;
}

bool EventMix::IsPossible(MixKind kind, const Repository& repository) {
  switch (kind) {
    case MixKind::kTagMove:
      return !repository.tags.empty() && repository.manifests.size() > 1;
    case MixKind::kTagRemoval:
    case MixKind::kPull:
      return !repository.tags.empty();
    case MixKind::kRepositoryRemoval:
      return repository.is_there;
    default:
      return true;
  }
}

CommitRows EventMix::AddWholePush(Repository* repository,
                                  v1::RecordRequest* request) {
  const Push push = repository->source.Next(Draw(1000) < kPushesOnKnown);
  AddPush(options_.store, push, request);
  CommitRows rows = RowsOf(push.added.size() + 1, repository->is_there ? 1 : 2);
  if (!repository->is_there) ++truth_.repositories;
  repository->is_there = true;
  repository->tags.push_back({push.tag, repository->manifests.size()});
  repository->manifests.push_back(push.manifest.digest);
  ++truth_.images;
  ++truth_.tags;
  truth_.bytes += push.added_bytes();
  return rows;
}

CommitRows EventMix::AddBrokenPush(Repository* repository,
                                   v1::RecordRequest* request) {
  const Push push = repository->source.Next();
  AddBlobs(options_.store, push.added, request);
  for (const Blob& blob : push.added) truth_.bytes += blob.size;
  return RowsOf(push.added.size(), 0);
}

CommitRows EventMix::AddTagMove(Repository* repository,
                                v1::RecordRequest* request) {
  const auto tag_count = static_cast<uint32_t>(repository->tags.size());
  const auto count = static_cast<uint32_t>(repository->manifests.size());
  Tag& tag = repository->tags[Draw(tag_count)];
  // Any but the one that it names.
  tag.manifest = (tag.manifest + 1 + Draw(count - 1)) % count;
  v1::PutTag& put = *request->add_operations()->mutable_put_tag();
  put.set_store(options_.store);
  put.set_repository(repository->name);
  put.set_tag(tag.name);
  put.set_digest(repository->manifests[tag.manifest]);
  return RowsOf(0, 1);
}

CommitRows EventMix::AddTagRemoval(Repository* repository,
                                   v1::RecordRequest* request) {
  const auto tag_count = static_cast<uint32_t>(repository->tags.size());
  const auto gone = repository->tags.begin() + Draw(tag_count);
  v1::RemoveTag& remove = *request->add_operations()->mutable_remove_tag();
  remove.set_store(options_.store);
  remove.set_repository(repository->name);
  remove.set_tag(gone->name);
  repository->tags.erase(gone);
  --truth_.tags;
  return RowsOf(0, 1);
}

CommitRows EventMix::AddRepositoryRemoval(Repository* repository,
                                          v1::RecordRequest* request) {
  v1::RemoveRepository& remove =
      *request->add_operations()->mutable_remove_repository();
  remove.set_store(options_.store);
  remove.set_repository(repository->name);
  const size_t gone = repository->tags.size();
  truth_.tags -= gone;
  --truth_.repositories;
  repository->tags.clear();
  repository->is_there = false;
  return RowsOf(0, gone + 1);
}

CommitRows EventMix::AddPull(const Repository& repository,
                             v1::RecordRequest* request) {
  const auto tag_count = static_cast<uint32_t>(repository.tags.size());
  v1::Touch& touch = *request->add_operations()->mutable_touch();
  touch.mutable_name()->set_store(options_.store);
  touch.set_repository(repository.name);
  touch.set_tag(repository.tags[Draw(tag_count)].name);
  touch.set_use(v1::USE_KIND_PULLED);
  // The tag's record and the manifest's, and one event of the two.
  CommitRows rows = RowsOf(1, 1);
  rows.events = 1;
  return rows;
}

CommitRows EventMix::AddCheck(v1::CheckBlobsRequest* request) {
  const auto count = static_cast<uint32_t>(options_.bases.size());
  v1::ContentName& name = *request->add_names();
  name.set_store(options_.store);
  name.set_digest(options_.bases[Draw(count)].digest);
  return RowsOf(1, 0);
}

CommitRows EventMix::AddRecord(MixKind kind, Repository* repository,
                               v1::RecordRequest* request) {
  switch (kind) {
    case MixKind::kBrokenPush:
      return AddBrokenPush(repository, request);
    case MixKind::kTagMove:
      return AddTagMove(repository, request);
    case MixKind::kTagRemoval:
      return AddTagRemoval(repository, request);
    case MixKind::kRepositoryRemoval:
      return AddRepositoryRemoval(repository, request);
    case MixKind::kPull:
      return AddPull(*repository, request);
    default:
      return AddWholePush(repository, request);
  }
}

v1::RecordRequest EventMix::Begin() {
  v1::RecordRequest request;
  for (Repository& repository : repositories_) {
    for (int i = 0; i < kFirstPushCount; ++i) {
      AddWholePush(&repository, &request);
    }
  }
  return request;
}

MixEvent EventMix::Next() {
  MixEvent event;
  event.kind = DrawKind();
  Repository& repository = repositories_[Draw(kRepositoryCount)];
  if (!IsPossible(event.kind, repository)) event.kind = MixKind::kPush;
  if (event.kind == MixKind::kCheck) {
    event.rows = AddCheck(&event.check);
  } else {
    event.rows = AddRecord(event.kind, &repository, &event.record);
    event.record.set_relaxed(options_.is_relaxed);
  }
  event.rows.is_durable = event.kind == MixKind::kCheck || !options_.is_relaxed;
  return event;
}

}  // namespace reclaim::benchmark

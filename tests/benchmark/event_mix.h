// tests/benchmark/event_mix.h — what clients do to a registry, one event after
// another, in the proportions of PERFORMANCE.md 1.4.
//
// Of 45.05 events 3 are pushes, 1 moves a tag, 1 deletes one, 0.05 delete a
// repository, 10 ask whether a blob is there, 30 are pulls.  Nine pushes of ten
// have a base that the registry knows; one or two of a hundred are broken off.
// For a twentieth of the time (a nightly build) everything comes twenty times
// as often.
//
// Seeded, endless and streaming: what is remembered are the tags that are there
// and the layers of the newest image of each repository, and there are never
// more repositories than the options say.  A deleted one is followed by another
// with the next push.  The same options give the same events on every machine.
// Thread-compatible; a client per thread takes a mix with a seed of its own.
//
//   EventMix mix(options);
//   for (uint64_t i = 0; i < mix.fill_count(); ++i) Send(mix.Next());
//   while (...) Send(mix.Next());  // at its `at`, or as fast as it goes
//
// Contents are numbers.  Who sends them makes digests of them: that of a blob
// from its number, that of an image from its manifest's bytes, to be remembered
// by the image's number for the moves and pulls that name it later.

#ifndef RECLAIM_TESTS_BENCHMARK_EVENT_MIX_H_
#define RECLAIM_TESTS_BENCHMARK_EVENT_MIX_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "tests/benchmark/draws.h"

namespace reclaim::benchmark {

enum class EventKind {
  kPush,
  kTagMove,           // to another image of its repository
  kTagDelete,         // its image stays
  kRepositoryDelete,  // with all its tags
  kExistenceCheck,
  kPull,
};
inline constexpr size_t kEventKindCount = 6;

// Of blobs and images, in one sequence from 0.
using ContentNumber = uint64_t;

struct PushedBlob {
  ContentNumber number = 0;
  uint64_t size_bytes = 0;  // always the same for one number
  bool is_new = false;      // else some push brought it before
};

struct RegistryEvent {
  EventKind kind = EventKind::kPush;
  absl::Duration at;  // since the filling; never less than the one before
  bool is_in_burst = false;
  // From 0, where the bases are, which are never deleted; a deleted one's
  // number never comes again.  Not set: kExistenceCheck.
  uint32_t repository = 0;
  // From 0 in each repository.  Set: kPush, kTagMove, kTagDelete, kPull.
  uint32_t tag = 0;
  // The image that is new, that the tag names from now on (perhaps the one that
  // it named), that it named, that is pulled; or anything that was ever pushed
  // (kExistenceCheck).  Not set: kRepositoryDelete, and a push that is aborted.
  ContentNumber content = 0;
  // kPush: the config, then the layers, bases first.  If it is aborted the new
  // ones have come, and no manifest will.
  std::vector<PushedBlob> blobs;
  bool is_aborted = false;
};

struct EventMixOptions {
  uint64_t seed = 1;
  uint32_t repositories = 100;          // at least 1; that of the bases aside
  uint32_t pushes_per_repository = 12;  // of the filling; at least 1
  uint32_t bases = 20;                  // at least 1
  double events_per_second = 10'000;    // above 0; the mean, bursts and all
  absl::Duration cycle = absl::Seconds(10);  // above 0; each ends with a burst
};

class EventMix {
 public:
  explicit EventMix(const EventMixOptions& options);

  // The first so many events are pushes at the time 0 which fill the registry;
  // none of them is aborted.
  uint64_t fill_count() const;

  // An event that finds nothing to move or delete becomes a push; only in a
  // registry with hardly any tags does that happen.
  RegistryEvent Next();

 private:
  struct Tag {
    uint32_t number = 0;
    ContentNumber image = 0;
  };
  struct Repository {
    uint32_t number = 0;
    size_t base = 0;
    uint32_t next_tag = 0;
    std::vector<Tag> tags;        // ascending
    std::vector<PushedBlob> own;  // layers of the newest image above the base
  };

  void Fill(RegistryEvent* event);
  // To the time of the next event.
  void Advance();
  void Act(RegistryEvent* event);
  EventKind DrawKind();

  PushedBlob NewBlob(uint64_t size_bytes);
  void AddNewLayers(uint32_t count, std::vector<PushedBlob>* layers);
  Repository* BeginRepository();
  Repository* PushedTo();
  // One with at least so many tags, not that of the bases; null if none has.
  Repository* AnyWith(size_t tag_count);

  void PushBase(RegistryEvent* event);
  void Push(bool may_abort, Repository* repository, RegistryEvent* event);
  void NameNewImage(bool is_tag_new, Repository* repository,
                    RegistryEvent* event);
  bool MoveTag(RegistryEvent* event);
  bool DeleteTag(RegistryEvent* event);
  bool DeleteRepository(RegistryEvent* event);
  void Check(RegistryEvent* event);
  void Pull(RegistryEvent* event);

  const EventMixOptions options_;
  Draws draws_;
  uint64_t told_count_ = 0;
  double seconds_ = 0;
  double phase_end_seconds_ = 0;
  bool is_in_burst_ = false;
  ContentNumber next_content_ = 0;
  uint32_t next_repository_ = 0;
  std::vector<std::vector<PushedBlob>> bases_;
  std::vector<Repository> repositories_;  // first that of the bases
};

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_EVENT_MIX_H_

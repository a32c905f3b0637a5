// tests/benchmark/event_mix.h — what a registry's clients do, in the shares of
// PERFORMANCE.md 1.4, and what has to be true afterwards.
//
//   3 pushes : 1 tag moved : 1 tag deleted : 0.05 repositories deleted :
//   10 existence checks : 30 pulls
//
// Nine of ten pushes stand on a layer that is known; 1.5 % are broken off
// before their manifest.  What can't be done yet (a move in a repository with
// one image) is a push instead.  The bursts of 1.4 are not here: clients that
// send one request after the other have none.
//
// Seeded by the number of the client: repeats itself.

#ifndef RECLAIM_TESTS_BENCHMARK_EVENT_MIX_H_
#define RECLAIM_TESTS_BENCHMARK_EVENT_MIX_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "reclaim/v1/graph.pb.h"
#include "tests/benchmark/bare_commits.h"
#include "tests/benchmark/push_source.h"

namespace reclaim::benchmark {

enum class MixKind : uint8_t {
  kPush = 0,
  kBrokenPush = 1,
  kTagMove = 2,
  kTagRemoval = 3,
  kRepositoryRemoval = 4,
  kCheck = 5,
  kPull = 6,
};
inline constexpr int kMixKindCount = 7;

// One call.
struct MixEvent {
  MixKind kind = MixKind::kPush;
  v1::CheckBlobsRequest check;  // of kCheck
  v1::RecordRequest record;     // of all others
  CommitRows rows;
};

struct MixOptions {
  std::string store;
  int client = 0;
  // Recorded before the first event, by whoever made them.  Not empty.
  std::vector<Blob> bases;
  // Existence checks are durable all the same: their answer is a promise.
  bool is_relaxed = false;
};

// What a client's own repositories come to.
struct MixTruth {
  uint64_t images = 0;
  uint64_t tags = 0;
  uint64_t repositories = 0;
  uint64_t bytes = 0;  // of content; nothing collects here
};

class EventMix {
 public:
  explicit EventMix(const MixOptions& options);

  // To be recorded before the first event: each repository with two images.
  v1::RecordRequest Begin();
  MixEvent Next();
  // After all events so far.
  const MixTruth& truth() const { return truth_; }

 private:
  struct Tag {
    std::string name;
    size_t manifest = 0;  // in Repository::manifests
  };
  struct Repository {
    std::string name;
    PushSource source;
    std::vector<std::string> manifests;  // digests of all that were pushed
    std::vector<Tag> tags;
    bool is_there = false;
  };

  uint32_t Draw(uint32_t below);
  MixKind DrawKind();
  static bool IsPossible(MixKind kind, const Repository& repository);
  CommitRows AddWholePush(Repository* repository, v1::RecordRequest* request);
  CommitRows AddBrokenPush(Repository* repository, v1::RecordRequest* request);
  CommitRows AddTagMove(Repository* repository, v1::RecordRequest* request);
  CommitRows AddTagRemoval(Repository* repository, v1::RecordRequest* request);
  CommitRows AddRepositoryRemoval(Repository* repository,
                                  v1::RecordRequest* request);
  CommitRows AddPull(const Repository& repository, v1::RecordRequest* request);
  CommitRows AddRecord(MixKind kind, Repository* repository,
                       v1::RecordRequest* request);
  CommitRows AddCheck(v1::CheckBlobsRequest* request);

  const MixOptions options_;
  std::mt19937 random_;
  std::vector<Repository> repositories_;
  MixTruth truth_;
};

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_EVENT_MIX_H_

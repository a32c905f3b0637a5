// tests/benchmark/push_source.h — images that a client pushes, one after the
// other, as values; and the operations that record them.
//
// Repeats itself: the same options give the same pushes.

#ifndef RECLAIM_TESTS_BENCHMARK_PUSH_SOURCE_H_
#define RECLAIM_TESTS_BENCHMARK_PUSH_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "reclaim/v1/graph.pb.h"

namespace reclaim::benchmark {

struct Blob {
  std::string digest;  // "sha256:…"
  uint64_t size = 0;   // as it is recorded
  std::string bytes;   // "" of a base that is known by its name alone
};

struct Push {
  std::string repository;
  std::string tag;
  std::vector<Blob> added;  // the config first, then the layers that are new
  std::vector<Blob> known;  // layers below them, which are not sent again
  Blob manifest;

  // What the store has more of afterwards.
  uint64_t added_bytes() const;
};

struct PushOptions {
  std::string repository;
  // What images may stand on, in turns.
  std::vector<Blob> bases;
  // Blobs have the sizes of their bytes, which can be laid into a tree; else
  // they are as large as such blobs are.
  bool is_real = false;
};

class PushSource {
 public:
  explicit PushSource(PushOptions options);

  // A config, a layer and what they stand on: a base, or, where there is none
  // or `knows_base` is false, a layer that is new as well.
  Push Next(bool knows_base = true);

 private:
  Blob MakeBlob(std::string bytes, uint64_t size) const;

  PushOptions options_;
  size_t number_ = 0;
};

// A layer for PushOptions::bases.
Blob MakeBase(size_t number);

// Its blobs alone, as of a push that was broken off: one record each.
void AddBlobs(const std::string& store, const std::vector<Blob>& blobs,
              v1::RecordRequest* request);
// The whole of it: a record for each blob that is new, the manifest, the tag.
void AddPush(const std::string& store, const Push& push,
             v1::RecordRequest* request);

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_PUSH_SOURCE_H_

// tests/benchmark/registry_files.h — a push on its way into a registry's tree.

#ifndef RECLAIM_TESTS_BENCHMARK_REGISTRY_FILES_H_
#define RECLAIM_TESTS_BENCHMARK_REGISTRY_FILES_H_

#include <string>

#include "tests/benchmark/push_source.h"

namespace reclaim::benchmark {

// Lays the blobs, links and tag of a push into the registry's tree in the
// folder `tree`, in the order in which a registry does: what is named before
// its name.  Each folder is made in `aside` (of this thread alone, on the same
// file system) and moved in, so that nobody reads half a file.
//
// REQUIRES: PushOptions::is_real.
void LayPush(const std::string& tree, const std::string& aside,
             const Push& push);

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_REGISTRY_FILES_H_

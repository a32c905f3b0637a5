// tests/support/small_graphs.h — every graph of a small family, as text.
//
// Two images over a common layer, and of each of these one: an index, a
// referrer, tags, a user, something that is missing or not understood, links of
// repositories.

#ifndef RECLAIM_TESTS_SUPPORT_SMALL_GRAPHS_H_
#define RECLAIM_TESTS_SUPPORT_SMALL_GRAPHS_H_

#include <string>
#include <vector>

namespace reclaim::tests {

// For TextGraph; each once.
std::vector<std::string> SmallGraphs();

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_SMALL_GRAPHS_H_

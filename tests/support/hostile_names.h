// tests/support/hostile_names.h — texts that want to be paths (E.2, 1).
//
// Of each kind those that have to be refused, and their valid twins.  They hold
// any bytes: NUL, control characters, what is no UTF-8.

#ifndef RECLAIM_TESTS_SUPPORT_HOSTILE_NAMES_H_
#define RECLAIM_TESTS_SUPPORT_HOSTILE_NAMES_H_

#include <string>
#include <vector>

namespace reclaim::hostile {

// Of repositories, tags and digests.
std::vector<std::string> BadRepositories();
std::vector<std::string> GoodRepositories();
std::vector<std::string> BadTags();
std::vector<std::string> GoodTags();
std::vector<std::string> BadDigests();
std::vector<std::string> GoodDigests();
// Of one file beside others.
std::vector<std::string> BadFileNames();

}  // namespace reclaim::hostile

#endif  // RECLAIM_TESTS_SUPPORT_HOSTILE_NAMES_H_

// The corpus of every fuzz target, whole and cut short, under whatever this was
// compiled with.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::fuzz {
namespace {

constexpr char kCorpus[] = "tests/fuzz/corpus";
// So that a long seed does not take the square of its length.
constexpr size_t kCutCountMax = 256;

std::vector<std::string> Seeds(const std::string& target) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::string(kCorpus) + "/" + target)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// A seed of a binary format is written in hexadecimal digits (NAME.hex).
std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!absl::EndsWith(path, ".hex")) return text;
  text.erase(std::remove(text.begin(), text.end(), '\n'), text.end());
  return absl::HexStringToBytes(text);
}

class CorpusTest : public testing::TestWithParam<std::string> {};

// Alone, for who takes long over each (tests/fuzz/valgrind_test.py).
TEST_P(CorpusTest, EverySeed) {
  const Target target = Targets().at(GetParam());
  for (const std::string& path : Seeds(GetParam())) {
    SCOPED_TRACE(path);
    target(Read(path));
  }
}

TEST_P(CorpusTest, EverySeedAndItsBeginnings) {
  const Target target = Targets().at(GetParam());
  const std::vector<std::string> seeds = Seeds(GetParam());
  ASSERT_FALSE(seeds.empty());
  for (const std::string& path : seeds) {
    SCOPED_TRACE(path);
    const std::string seed = Read(path);
    target(seed);
    const size_t step = seed.size() / kCutCountMax + 1;
    for (size_t cut = 0; cut < seed.size(); cut += step) {
      target(absl::string_view(seed).substr(0, cut));
    }
  }
}

TEST_P(CorpusTest, AFlippedBitAnywhere) {
  const Target target = Targets().at(GetParam());
  for (const std::string& path : Seeds(GetParam())) {
    SCOPED_TRACE(path);
    std::string seed = Read(path);
    const size_t step = seed.size() / kCutCountMax + 1;
    for (size_t at = 0; at < seed.size(); at += step) {
      const char flip = static_cast<char>(1 << (at % 8));
      seed[at] = static_cast<char>(seed[at] ^ flip);
      target(seed);
      seed[at] = static_cast<char>(seed[at] ^ flip);
    }
  }
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& [name, target] : Targets()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Targets, CorpusTest, testing::ValuesIn(Names()),
                         [](const auto& info) { return info.param; });

TEST(CorpusTest, EveryFolderHasATarget) {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    folders.push_back(entry.path().filename());
  }
  EXPECT_THAT(folders, testing::UnorderedElementsAreArray(Names()));
}

}  // namespace
}  // namespace reclaim::fuzz

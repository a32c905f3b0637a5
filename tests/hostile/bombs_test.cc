// Documents of the largest size that is read, made to be expensive: none takes
// more than 24 times its own size of memory (TRUST E.2 row 4, D.3 "memory
// bound").  That it ends is told by the test's own time limit.

#include <malloc.h>

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "oci/image_config.h"
#include "oci/image_layout_index.h"
#include "oci/json_reader.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "oci/notification.h"

namespace reclaim::oci {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kGrowthMax = 96 * kMiB;

// A figure of /proc/self/status, in bytes.
size_t StatusBytes(absl::string_view name) {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word != name) continue;
    size_t kib = 0;
    status >> kib;
    return kib * 1024;
  }
  ADD_FAILURE() << "the kernel has no " << name;
  return 0;
}

// The most memory that `deed` has held at a time.
size_t GrowthOf(const std::function<void()>& deed) {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
  const size_t before = StatusBytes("VmRSS:");
  deed();
  const size_t most = StatusBytes("VmHWM:");
  return most > before ? most - before : 0;
}

std::string Repeated(absl::string_view piece, size_t size) {
  std::string text;
  text.reserve(size + piece.size());
  while (text.size() + piece.size() <= size) absl::StrAppend(&text, piece);
  return text;
}

// `open`, `piece` as often as it has room, `close`: as large as may be read.
std::string Filled(absl::string_view open, absl::string_view piece,
                   absl::string_view close) {
  const size_t room = kJsonBytesMax - open.size() - close.size() - 1;
  std::string middle = Repeated(piece, room);
  if (!middle.empty() && middle.back() == ',') middle.pop_back();
  return absl::StrCat(open, middle, close);
}

std::vector<std::pair<std::string, std::string>> Bombs() {
  const std::string child = absl::StrCat(
      R"({"mediaType":")", kOciManifestType, R"(","size":1,"digest":")",
      Digest::Sha256Of("x").ToString(), R"("},)");
  std::string keys;
  for (int i = 0; keys.size() < kJsonBytesMax - 64; ++i) {
    absl::StrAppend(&keys, "\"", i, "\":0,");
  }
  keys.back() = '}';
  return {
      {"nested arrays", Repeated("[", kJsonBytesMax)},
      {"nested objects", Repeated("{\"a\":", kJsonBytesMax)},
      {"an array of numbers", Filled("[", "0,", "]")},
      {"an array of objects", Filled("[", "{\"a\":0},", "]")},
      {"an array of empty objects", Filled("[", "{},", "]")},
      {"an array of arrays", Filled("[", "[[[]]],", "]")},
      {"an array of texts", Filled("[", "\"ab\",", "]")},
      {"many keys", absl::StrCat("{", keys)},
      {"the same key", Filled("{", "\"a\":0,", "\"b\":0}")},
      {"a long text", Filled("[\"", "a", "\"]")},
      {"escapes", Filled("[\"", "\\u0041", "\"]")},
      {"a long number", Filled("[", "9", "]")},
      {"blanks", Filled("[", " ", "]")},
      {"children of an index",
       Filled(absl::StrCat(R"({"schemaVersion":2,"mediaType":")", kOciIndexType,
                           R"(","manifests":[)"),
              child, "]}")},
      {"entries without a type",
       Filled(R"({"schemaVersion":2,"manifests":[)", "{},", "]}")},
      {"layers", Filled(R"({"schemaVersion":2,"layers":[)", "{},", "]}")},
      {"history", Filled(R"({"history":[)", R"({"created_by":""},)", "]}")},
      {"labels of a config",
       absl::StrCat(R"({"config":{"Labels":{)", keys, "}}")},
      {"events", Filled(R"({"events":[)", "{},", "]}")},
  };
}

TEST(BombsTest, NoDocumentTakesManyTimesItsSize) {
  for (const auto& [name, text] : Bombs()) {
    SCOPED_TRACE(name);
    const std::string& bomb = text;
    EXPECT_LE(bomb.size(), kJsonBytesMax);
    EXPECT_GT(bomb.size(), kJsonBytesMax - 256);
    const std::pair<const char*, std::function<void()>> readers[] = {
        {"manifest", [&] { (void)ParseManifest(bomb, ""); }},
        {"config", [&] { (void)ParseImageConfig(bomb); }},
        {"index.json", [&] { (void)ParseLayoutIndex(bomb); }},
        {"notification", [&] { (void)ParseNotifications(bomb); }},
    };
    for (const auto& [reader, read] : readers) {
      const size_t growth = GrowthOf(read);
      printf("%s as %s: %zu KiB\n", name.c_str(), reader, growth / 1024);
      EXPECT_LE(growth, kGrowthMax) << reader;
    }
  }
}

}  // namespace
}  // namespace reclaim::oci

// Documents made to be expensive, each at the largest size that is looked at
// and at the largest that is read: none takes more than 32 MiB of memory (TRUST
// E.2 row 4, D.3 "memory bound"), nor an envelope of a registry, of which one
// is read at a time, more than 112.  That it ends is told by the test's own
// time limit.

#include <malloc.h>

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
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
constexpr size_t kGrowthMax = 32 * kMiB;
constexpr size_t kEnvelopeGrowthMax = 112 * kMiB;

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

// What malloc has given out.
size_t HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// A document of at most so many bytes.
using Bomb = std::function<std::string(size_t size)>;

// `open`, pieces as long as there is room, `close`.
Bomb Filled(absl::string_view open,
            const std::function<std::string(size_t number)>& piece,
            absl::string_view close) {
  return
      [=, open = std::string(open), close = std::string(close)](size_t size) {
        std::string text = open;
        text.reserve(size);
        for (size_t i = 0;; ++i) {
          const std::string next = piece(i);
          if (text.size() + next.size() + close.size() > size) break;
          text += next;
        }
        if (text.back() == ',') text.pop_back();
        return text + close;
      };
}

Bomb Filled(absl::string_view open, absl::string_view piece,
            absl::string_view close) {
  return Filled(
      open, [piece = std::string(piece)](size_t) { return piece; }, close);
}

Bomb Keys(absl::string_view open, absl::string_view value,
          absl::string_view close) {
  return Filled(
      open,
      [value = std::string(value)](size_t i) {
        return absl::StrCat("\"", i, "\":", value, ",");
      },
      close);
}

using Bombs = std::vector<std::pair<std::string, Bomb>>;

// Of values that nothing asks for.
Bombs PlainBombs() {
  return {
      {"nested arrays", Filled("", "[", "")},
      {"nested objects", Filled("", "{\"a\":", "")},
      {"an array of numbers", Filled("[", "0,", "]")},
      {"an array of objects", Filled("[", "{\"a\":0},", "]")},
      {"an array of empty objects", Filled("[", "{},", "]")},
      {"an array of arrays", Filled("[", "[[[]]],", "]")},
      {"an array of texts", Filled("[", "\"ab\",", "]")},
      {"an array of longer texts", Filled("[", "\"0123456789abcdef\",", "]")},
      {"many keys", Keys("{", "0", "}")},
      {"many keys of texts", Keys("{", "\"\"", "}")},
      {"objects of many keys",
       Filled(
           "[",
           [](size_t) {
             std::string text = "{";
             for (char c = 'a'; c <= 'z'; ++c) {
               absl::StrAppend(&text, "\"", std::string(1, c), "\":{},");
             }
             text.back() = '}';
             return text + ",";
           },
           "]")},
      {"the same key", Filled("{", "\"a\":0,", "\"b\":0}")},
      {"a long text", Filled("[\"", "a", "\"]")},
      {"escapes", Filled("[\"", "\\u0041", "\"]")},
      {"a long number", Filled("[", "9", "]")},
      {"blanks", Filled("[", " ", "]")},
      // What cannot be read must not be quoted either.
      {"blanks before an error", Filled("[", "\n", "x")},
      {"a text without an end", Filled("[\"", "a", "")},
      {"an error at the end of a text", Filled("[\"", "a", "\\x\"]")},
      {"an error after a text", Filled("[\"", "a", "\" x")},
      {"a number too large", Filled("[1", "0", "]")},
  };
}

// Of what the readers look for.
Bombs MeantBombs() {
  const std::string digest =
      absl::StrCat("\"", Digest::Sha256Of("x").ToString(), "\"");
  const std::string child = absl::StrCat(R"({"mediaType":")", kOciManifestType,
                                         R"(","size":1,"digest":)", digest);
  const std::string index = absl::StrCat(R"({"schemaVersion":2,"mediaType":")",
                                         kOciIndexType, R"(","manifests":[)");
  const std::string image =
      absl::StrCat(R"({"schemaVersion":2,"config":{"digest":)", digest, "},");
  const std::string name = absl::StrCat(R"(,"annotations":{")",
                                        kRefNameAnnotation, R"(":"latest-1"})");
  const std::string platform =
      R"(,"platform":{"architecture":"amd64","os":"linux"})";
  return {
      {"children of an index", Filled(index, child + "},", "]}")},
      {"named children of an index", Filled(index, child + name + "},", "]}")},
      {"children with all that they may have",
       Filled(index, child + name + platform + "},", "]}")},
      {"children that are a digest",
       Filled(index, absl::StrCat("{\"digest\":", digest, "},"), "]}")},
      {"children with other annotations",
       Filled(index,
              absl::StrCat("{\"digest\":", digest,
                           R"(,"annotations":{"a":"","b":"","c":""}},)"),
              "]}")},
      {"entries without a type",
       Filled(R"({"schemaVersion":2,"manifests":[)", "{},", "]}")},
      {"layers", Filled(R"({"schemaVersion":2,"layers":[)", "{},", "]}")},
      {"layers that are a digest",
       Filled(image + R"("layers":[)",
              absl::StrCat("{\"digest\":", digest, "},"), "]}")},
      {"annotations of an image",
       Keys(image + R"("annotations":{)", "\"\"", R"(},"layers":[]})")},
      {"layers of schema 1",
       Filled(R"({"schemaVersion":1,"fsLayers":[)",
              absl::StrCat("{\"blobSum\":", digest, "},"), "]}")},
      {"history", Filled(R"({"history":[)", R"({"created_by":""},)", "]}")},
      {"empty history", Filled(R"({"history":[)", "{},", "]}")},
      {"diff ids", Filled(R"({"rootfs":{"diff_ids":[)", "\"\",", "]}}")},
      {"longer diff ids",
       Filled(R"({"rootfs":{"diff_ids":[)", "\"0123456789abcdef\",", "]}}")},
      {"labels of a config", Keys(R"({"config":{"Labels":{)", "0", "}}}")},
      {"labels that are texts",
       Keys(R"({"config":{"Labels":{)", "\"\"", "}}}")},
      {"labels as many as there may be",
       [](size_t size) {
         std::string text = R"({"config":{"Labels":{)";
         for (int i = 0; i < 65536; ++i) {
           absl::StrAppend(&text, "\"", i, "\":\"0123456789abcdef\",");
         }
         text.pop_back();
         text += R"(}},"author":")";
         text.append(size > text.size() + 2 ? size - text.size() - 2 : 0, 'a');
         return text + "\"}";
       }},
      {"events", Filled(R"({"events":[)", "{},", "]}")},
  };
}

// The largest document of this kind that is read, within 64 KiB; nothing if it
// is read at any size, or at none.
std::optional<std::string> LargestRead(const Bomb& bomb, size_t memory_max) {
  constexpr size_t kStep = size_t{64} << 10;
  size_t read = 0;
  size_t refused = kJsonBytesMax / kStep;
  if (ReadJson(bomb(refused * kStep), memory_max).ok()) return std::nullopt;
  while (refused - read > 1) {
    const size_t middle = (read + refused) / 2;
    const bool is_read = ReadJson(bomb(middle * kStep), memory_max).ok();
    (is_read ? read : refused) = middle;
  }
  if (read == 0) return std::nullopt;
  return bomb(read * kStep);
}

class BombsTest : public ::testing::Test {
 protected:
  // What has been read takes no more than was reckoned before it was.
  void CheckReckoning(const std::string& text, size_t memory_max) {
    const size_t before = HeapBytes();
    const auto json = ReadJson(text, memory_max);
    if (json.ok()) {
      EXPECT_LE(HeapBytes() - before, memory_max);
    }
  }

  void CheckReader(const std::string& name, const std::string& text,
                   const char* reader, size_t growth_max,
                   const std::function<void()>& read) {
    const size_t growth = GrowthOf(read);
    printf("%6zu KiB: %s of %zu KiB as %s\n", growth / 1024, name.c_str(),
           text.size() / 1024, reader);
    EXPECT_LE(growth, growth_max) << reader;
  }

  void CheckEnvelope(const std::string& name, const std::string& text) {
    SCOPED_TRACE(name);
    CheckReckoning(text, kNotificationMemoryMax);
    CheckReader(name, text, "notification", kEnvelopeGrowthMax,
                [&] { (void)ParseNotifications(text); });
    ++document_count_;
  }

  void Check(const std::string& name, const std::string& text) {
    SCOPED_TRACE(name);
    CheckReckoning(text, kJsonMemoryMax);
    CheckReader(name, text, "manifest", kGrowthMax,
                [&] { (void)ParseManifest(text, ""); });
    CheckReader(name, text, "config", kGrowthMax,
                [&] { (void)ParseImageConfig(text); });
    CheckReader(name, text, "index.json", kGrowthMax,
                [&] { (void)ParseLayoutIndex(text); });
    ++document_count_;
  }

  void CheckAll(const Bombs& bombs) {
    for (const auto& [name, bomb] : bombs) {
      const std::string whole = bomb(kJsonBytesMax);
      EXPECT_LE(whole.size(), kJsonBytesMax);
      EXPECT_GT(whole.size(), kJsonBytesMax - 512);
      Check(name, whole);
      CheckEnvelope(name, whole);
      std::optional<std::string> read = LargestRead(bomb, kJsonMemoryMax);
      if (read.has_value()) Check(name, *read);
      read = LargestRead(bomb, kNotificationMemoryMax);
      if (read.has_value()) CheckEnvelope(name, *read);
    }
    RecordProperty("figure_expensive_documents", document_count_);
  }

 private:
  int document_count_ = 0;
};

TEST_F(BombsTest, ValuesThatNothingAsksFor) { CheckAll(PlainBombs()); }

TEST_F(BombsTest, ValuesThatAreMeant) { CheckAll(MeantBombs()); }

// What an honest tool may write is read, up to the limit of bytes.
TEST_F(BombsTest, NoUsefulListIsRefused) {
  for (const auto& [name, bomb] : MeantBombs()) {
    if (name.find("children") == std::string::npos ||
        name.find("other") != std::string::npos) {
      continue;
    }
    const auto entries = ParseLayoutIndex(bomb(kJsonBytesMax));
    ASSERT_TRUE(entries.ok()) << name << ": " << entries.status();
    EXPECT_GT(entries->size(), 15000u) << name;
  }
}

}  // namespace
}  // namespace reclaim::oci

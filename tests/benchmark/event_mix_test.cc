// The mix has the shares of PERFORMANCE.md 1.4, and its truth is what its
// requests come to when they are read again by the letter.

#include "tests/benchmark/event_mix.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace reclaim::benchmark {
namespace {

constexpr int kEventCount = 100'000;
constexpr double kAll = 45.05;

// What a graph would have, by the plainest reading of each request.
struct Reading {
  std::map<std::string, uint64_t> sizes;  // by digest
  std::set<std::string> manifests;
  std::map<std::string, std::map<std::string, std::string>> tags;
  int fault_count = 0;

  void Read(const v1::Operation& operation) {
    if (operation.has_put_blob()) {
      sizes[operation.put_blob().name().digest()] =
          operation.put_blob().bytes().logical_bytes();
    } else if (operation.has_put_manifest()) {
      const v1::PutManifest& put = operation.put_manifest();
      sizes[put.name().digest()] = put.manifest().size();
      manifests.insert(put.name().digest());
    } else if (operation.has_put_tag()) {
      const v1::PutTag& put = operation.put_tag();
      if (manifests.count(put.digest()) == 0) ++fault_count;
      std::string& names = tags[put.repository()][put.tag()];
      // To name the same again would be no event.
      if (names == put.digest()) ++fault_count;
      names = put.digest();
    } else if (operation.has_remove_tag()) {
      const v1::RemoveTag& remove = operation.remove_tag();
      if (tags[remove.repository()].erase(remove.tag()) == 0) ++fault_count;
    } else if (operation.has_remove_repository()) {
      if (tags.erase(operation.remove_repository().repository()) == 0) {
        ++fault_count;
      }
    } else if (operation.has_touch()) {
      const v1::Touch& touch = operation.touch();
      if (tags[touch.repository()].count(touch.tag()) == 0) ++fault_count;
    } else {
      ++fault_count;
    }
  }
  void Read(const v1::RecordRequest& request) {
    for (const v1::Operation& operation : request.operations()) Read(operation);
  }
};

MixOptions OptionsOf(int client) {
  MixOptions options;
  options.store = "s";
  options.client = client;
  for (size_t i = 0; i < 20; ++i) options.bases.push_back(MakeBase(i));
  return options;
}

TEST(EventMixTest, HasTheSharesThatAreAskedFor) {
  EventMix mix(OptionsOf(1));
  mix.Begin();
  std::array<int, kMixKindCount> counts{};
  int known_count = 0;
  for (int i = 0; i < kEventCount; ++i) {
    const MixEvent event = mix.Next();
    ++counts[static_cast<size_t>(event.kind)];
    // A config, a layer, a manifest, a tag; a base that is new is one more.
    if (event.kind == MixKind::kPush && event.record.operations_size() == 4) {
      ++known_count;
    }
  }
  const auto share = [&](MixKind kind) {
    return counts[static_cast<size_t>(kind)] * kAll / kEventCount;
  };
  const double pushes = share(MixKind::kPush);
  EXPECT_NEAR(pushes, 3.0, 0.3);
  EXPECT_NEAR(share(MixKind::kBrokenPush) / pushes, 0.015, 0.005);
  EXPECT_NEAR(share(MixKind::kTagMove), 1.0, 0.1);
  EXPECT_NEAR(share(MixKind::kTagRemoval), 1.0, 0.1);
  EXPECT_NEAR(share(MixKind::kRepositoryRemoval), 0.05, 0.02);
  EXPECT_NEAR(share(MixKind::kCheck), 10.0, 0.5);
  EXPECT_NEAR(share(MixKind::kPull), 30.0, 1.0);
  EXPECT_NEAR(known_count / static_cast<double>(
                                counts[static_cast<size_t>(MixKind::kPush)]),
              0.9, 0.02);
}

TEST(EventMixTest, ItsTruthIsWhatItsRequestsComeTo) {
  EventMix mix(OptionsOf(2));
  Reading reading;
  reading.Read(mix.Begin());
  for (int i = 0; i < 20'000; ++i) {
    const MixEvent event = mix.Next();
    EXPECT_EQ(event.kind == MixKind::kCheck, event.check.names_size() > 0);
    reading.Read(event.record);
  }
  EXPECT_EQ(reading.fault_count, 0);
  uint64_t bytes = 0;
  for (const auto& [digest, size] : reading.sizes) bytes += size;
  EXPECT_EQ(mix.truth().bytes, bytes);
  EXPECT_EQ(mix.truth().images, reading.manifests.size());
  uint64_t tags = 0;
  for (const auto& [repository, names] : reading.tags) tags += names.size();
  EXPECT_EQ(mix.truth().tags, tags);
  EXPECT_EQ(mix.truth().repositories, reading.tags.size());
}

TEST(EventMixTest, ClientsMakeNothingTwice) {
  EventMix one(OptionsOf(3));
  EventMix other(OptionsOf(4));
  Reading first;
  Reading second;
  first.Read(one.Begin());
  second.Read(other.Begin());
  for (const auto& [digest, size] : first.sizes) {
    EXPECT_EQ(second.sizes.count(digest), 0u);
  }
}

}  // namespace
}  // namespace reclaim::benchmark

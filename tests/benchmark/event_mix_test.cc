// Events come in the proportions of PERFORMANCE.md 1.4, and each is of
// something that is there.

#include "tests/benchmark/event_mix.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace reclaim::benchmark {
namespace {

constexpr int kCycles = 4;
// As the share of the time in which events are twenty times as many.
constexpr size_t kPartsOfCycle = 20;

EventMixOptions FiveThousandASecond() {
  EventMixOptions options;
  options.events_per_second = 5'000;
  return options;
}

// Calls `visit` with each event after the filling, for some cycles.
template <typename Visit>
void ForCycles(const EventMixOptions& options, Visit visit) {
  EventMix mix(options);
  for (uint64_t i = 0; i < mix.fill_count(); ++i) mix.Next();
  for (;;) {
    const RegistryEvent event = mix.Next();
    if (event.at >= kCycles * options.cycle) return;
    visit(event);
  }
}

std::string Text(const RegistryEvent& event) {
  std::string text =
      absl::StrCat(static_cast<int>(event.kind), " ",
                   absl::FormatDuration(event.at), " ", event.repository, " ",
                   event.tag, " ", event.content, " ", event.is_aborted);
  for (const PushedBlob& blob : event.blobs) {
    absl::StrAppend(&text, " ", blob.number, ":", blob.size_bytes, ":",
                    blob.is_new);
  }
  return text;
}

// A registry that takes the events, as plainly as it goes.
class Registry {
 public:
  void Take(const RegistryEvent& event) {
    SCOPED_TRACE(Text(event));
    switch (event.kind) {
      case EventKind::kPush:
        return TakePush(event);
      case EventKind::kTagMove:
        ASSERT_EQ(repositories_.count(event.repository), 1u);
        ASSERT_EQ(At(event).tags.count(event.tag), 1u);
        EXPECT_EQ(At(event).images.count(event.content), 1u);
        At(event).tags[event.tag] = event.content;
        return;
      case EventKind::kTagDelete:
        ExpectTag(event);
        At(event).tags.erase(event.tag);
        return;
      case EventKind::kRepositoryDelete:
        EXPECT_NE(event.repository, 0u) << "the bases stay";
        EXPECT_EQ(repositories_.erase(event.repository), 1u);
        gone_.insert(event.repository);
        return;
      case EventKind::kExistenceCheck:
        EXPECT_TRUE(blobs_.count(event.content) == 1 ||
                    images_.count(event.content) == 1);
        return;
      case EventKind::kPull:
        return ExpectTag(event);
    }
  }

  size_t repository_count() const { return repositories_.size(); }

 private:
  struct Repository {
    std::map<uint32_t, ContentNumber> tags;
    std::set<ContentNumber> images;
  };

  Repository& At(const RegistryEvent& event) {
    return repositories_[event.repository];
  }

  void ExpectTag(const RegistryEvent& event) {
    ASSERT_EQ(repositories_.count(event.repository), 1u);
    ASSERT_EQ(At(event).tags.count(event.tag), 1u);
    EXPECT_EQ(At(event).tags[event.tag], event.content);
  }

  void TakePush(const RegistryEvent& event) {
    EXPECT_EQ(gone_.count(event.repository), 0u);
    ASSERT_GE(event.blobs.size(), 2u) << "a config and a layer";
    EXPECT_LE(event.blobs.size(), 128u);
    EXPECT_TRUE(event.blobs[0].is_new);
    std::set<ContentNumber> once;
    for (const PushedBlob& blob : event.blobs) {
      EXPECT_TRUE(once.insert(blob.number).second);
      EXPECT_GT(blob.size_bytes, 0u);
      EXPECT_EQ(images_.count(blob.number), 0u);
      const auto [known, is_new] =
          blobs_.try_emplace(blob.number, blob.size_bytes);
      EXPECT_EQ(is_new, blob.is_new);
      EXPECT_EQ(known->second, blob.size_bytes);
    }
    Repository& repository = At(event);
    if (event.is_aborted) return;
    EXPECT_EQ(blobs_.count(event.content), 0u);
    EXPECT_TRUE(images_.insert(event.content).second);
    repository.images.insert(event.content);
    repository.tags[event.tag] = event.content;
  }

  std::map<uint32_t, Repository> repositories_;
  std::set<uint32_t> gone_;
  std::unordered_map<ContentNumber, uint64_t> blobs_;  // their bytes
  std::set<ContentNumber> images_;
};

TEST(EventMixTest, EachKindHasItsShare) {
  std::array<double, kEventKindCount> counts = {};
  double aborted = 0;
  ForCycles(FiveThousandASecond(), [&](const RegistryEvent& event) {
    ++counts[static_cast<size_t>(event.kind)];
    if (event.is_aborted) ++aborted;
  });
  const double pushes = counts[static_cast<size_t>(EventKind::kPush)];
  // For three pushes, with five times what chance alone makes of it.
  const auto of_three = [&](EventKind kind) {
    return 3 * counts[static_cast<size_t>(kind)] / pushes;
  };
  EXPECT_NEAR(of_three(EventKind::kTagMove), 1, 0.1);
  EXPECT_NEAR(of_three(EventKind::kTagDelete), 1, 0.1);
  EXPECT_NEAR(of_three(EventKind::kRepositoryDelete), 0.05, 0.018);
  EXPECT_NEAR(of_three(EventKind::kExistenceCheck), 10, 0.5);
  EXPECT_NEAR(of_three(EventKind::kPull), 30, 1.5);
  EXPECT_GE(aborted / pushes, 0.01);
  EXPECT_LE(aborted / pushes, 0.02);
}

TEST(EventMixTest, NinePushesOfTenHaveABaseThatIsKnown) {
  EventMix mix(FiveThousandASecond());
  std::set<ContentNumber> bases;
  for (uint64_t i = 0; i < mix.fill_count(); ++i) {
    const RegistryEvent event = mix.Next();
    if (event.repository != 0) continue;
    for (const PushedBlob& blob : event.blobs) bases.insert(blob.number);
  }
  double pushes = 0;
  double known = 0;
  while (pushes < 5'000) {
    const RegistryEvent event = mix.Next();
    if (event.kind != EventKind::kPush) continue;
    ++pushes;
    const bool is_known = bases.count(event.blobs[1].number) == 1;
    EXPECT_NE(event.blobs[1].is_new, is_known) << Text(event);
    if (is_known) ++known;
  }
  EXPECT_NEAR(known / pushes, 0.9, 0.02);
}

TEST(EventMixTest, ForATwentiethOfTheTimeEventsAreTwentyTimesAsMany) {
  const EventMixOptions options = FiveThousandASecond();
  const double part_seconds =
      absl::ToDoubleSeconds(options.cycle) / kPartsOfCycle;
  std::array<double, kPartsOfCycle> counts = {};
  double sum = 0;
  absl::Duration before;
  ForCycles(options, [&](const RegistryEvent& event) {
    EXPECT_GE(event.at, before);
    before = event.at;
    const double parts = absl::ToDoubleSeconds(event.at) / part_seconds;
    const size_t part = static_cast<size_t>(parts) % kPartsOfCycle;
    // Not where rounding decides on which side of a border it is.
    if (std::abs(parts - std::round(parts)) > 1e-6) {
      EXPECT_EQ(event.is_in_burst, part == kPartsOfCycle - 1) << Text(event);
    }
    ++counts[part];
    ++sum;
  });
  EXPECT_NEAR(sum / kCycles / absl::ToDoubleSeconds(options.cycle), 5'000, 100);
  const double quiet = (sum - counts.back()) / (kPartsOfCycle - 1);
  EXPECT_NEAR(counts.back() / quiet, 20, 1);
  for (size_t part = 0; part < kPartsOfCycle - 1; ++part) {
    EXPECT_NEAR(counts[part] / quiet, 1, 0.1) << part;
  }
}

TEST(EventMixTest, EachIsOfSomethingThatIsThere) {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    EventMixOptions options;
    options.seed = seed;
    options.repositories = 10;
    options.pushes_per_repository = 3;
    options.bases = 4;
    EventMix mix(options);
    Registry registry;
    for (uint64_t i = 0; i < mix.fill_count(); ++i) {
      const RegistryEvent event = mix.Next();
      EXPECT_EQ(event.kind, EventKind::kPush);
      EXPECT_EQ(event.at, absl::ZeroDuration());
      EXPECT_FALSE(event.is_aborted);
      registry.Take(event);
    }
    EXPECT_EQ(registry.repository_count(), 11u);
    for (int i = 0; i < 20'000 && !::testing::Test::HasFailure(); ++i) {
      registry.Take(mix.Next());
      ASSERT_LE(registry.repository_count(), 11u);
    }
    EXPECT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
  }
}

TEST(EventMixTest, TheSmallestRegistryGoesOn) {
  EventMixOptions options;
  options.repositories = 1;
  options.pushes_per_repository = 1;
  options.bases = 1;
  EventMix mix(options);
  Registry registry;
  for (int i = 0; i < 20'000 && !::testing::Test::HasFailure(); ++i) {
    registry.Take(mix.Next());
  }
}

TEST(EventMixTest, TheSameOptionsGiveTheSameEvents) {
  EventMixOptions options;
  EventMix first(options);
  EventMix second(options);
  options.seed = 2;
  EventMix third(options);
  bool is_other = false;
  for (int i = 0; i < 5'000; ++i) {
    const std::string text = Text(first.Next());
    ASSERT_EQ(text, Text(second.Next()));
    if (text != Text(third.Next())) is_other = true;
  }
  EXPECT_TRUE(is_other);
}

}  // namespace
}  // namespace reclaim::benchmark

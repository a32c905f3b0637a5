#include "index/watched_engine.h"

#include <memory>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"

namespace reclaim::index {
namespace {

using base::IsOk;
using base::StatusIs;

// Commits end as told, in order; then they succeed.
class ScriptedEngine final : public Engine {
 public:
  explicit ScriptedEngine(std::vector<absl::Status> ends)
      : ends_(std::move(ends)) {}
  absl::StatusOr<std::optional<std::string>> Get(
      Family family, absl::string_view key) const override {
    return memory_.Get(family, key);
  }
  absl::Status Scan(Family family, absl::string_view prefix,
                    absl::string_view from, Visitor visit) const override {
    return memory_.Scan(family, prefix, from, visit);
  }
  absl::Status ScanBackwards(Family family, absl::string_view prefix,
                             absl::string_view before,
                             Visitor visit) const override {
    return memory_.ScanBackwards(family, prefix, before, visit);
  }
  absl::Status Commit(const Batch& batch, Durability durability) override {
    if (ends_.empty()) return memory_.Commit(batch, durability);
    const absl::Status end = ends_.front();
    ends_.erase(ends_.begin());
    return end.ok() ? memory_.Commit(batch, durability) : end;
  }
  absl::Status Sync() override { return memory_.Sync(); }
  uint64_t ApproximateBytes() const override { return 7; }

 private:
  std::vector<absl::Status> ends_;
  MemoryEngine memory_;
};

WatchedEngine Watch(std::vector<absl::Status> ends) {
  return WatchedEngine(std::make_unique<ScriptedEngine>(std::move(ends)));
}

Batch One() {
  Batch batch;
  batch.Put(Family::kMeta, "k", "v");
  return batch;
}

TEST(WatchedEngineTest, AFullDiskIsForgottenWithTheNextWrite) {
  auto engine = Watch({absl::ResourceExhaustedError("full")});
  EXPECT_THAT(engine.Writable(), IsOk());
  EXPECT_THAT(engine.Commit(One(), Durability::kDurable),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(engine.Writable(),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(engine.commit_count(), 0u);
  EXPECT_THAT(engine.Commit(One(), Durability::kDurable), IsOk());
  EXPECT_EQ(engine.commit_count(), 1u);
  EXPECT_THAT(engine.Writable(), IsOk());
  EXPECT_EQ(engine.Get(Family::kMeta, "k").value(), "v");
  EXPECT_EQ(engine.Stats().disk_bytes, 7u) << "what every engine knows";
}

TEST(WatchedEngineTest, ABrokenDiskIsNot) {
  auto engine = Watch({absl::UnavailableError("broken")});
  EXPECT_THAT(engine.Commit(One(), Durability::kDurable),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(engine.Commit(One(), Durability::kDurable), IsOk());
  EXPECT_THAT(engine.Writable(), StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace reclaim::index

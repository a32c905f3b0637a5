// Random requests through the API until there were a hundred thousand commits,
// of one to three operations each.  After every one of them all counters, of
// which `df` is made, are those of a recount of the whole graph from nothing
// (I6).  Every fifty streams `verify` finds nothing, records included, and
// every 250 `df` says what it says after everything was read from the database
// again.
//
// RECLAIM_SEED repeats a run.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "index/recount.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

// A sanitizer looks at the same code in each of them, many times as long.
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
constexpr uint64_t kCommitCount = 10'000;
#else
constexpr uint64_t kCommitCount = 100'000;
#endif
constexpr int kMutationsPerStream = 100;
// About a tenth of the requests change nothing, and are not committed.
constexpr uint64_t kStreamCountMax = 2 * kCommitCount / kMutationsPerStream;
constexpr uint64_t kStreamsPerVerify = 50;
constexpr uint64_t kStreamsPerRestart = 250;

// Calls back before each commit: then the graph is as the last one left it.
class WatchedEngine final : public index::MemoryEngine {
 public:
  absl::Status Commit(const index::Batch& batch,
                      index::Durability durability) override {
    if (before_commit) before_commit();
    return index::MemoryEngine::Commit(batch, durability);
  }
  std::function<void()> before_commit;
};

unsigned Seed() {
  const char* const asked = std::getenv("RECLAIM_SEED");
  return asked == nullptr ? std::random_device()()
                          : static_cast<unsigned>(std::stoul(asked));
}

oci::Digest D(const std::string& text) { return oci::Digest::Sha256Of(text); }

// Names from small pools, so that everything meets everything.
class RandomMutations {
 public:
  explicit RandomMutations(unsigned seed) : random_(seed) {}

  v1::RecordRequest Next() {
    v1::RecordRequest request;
    request.set_relaxed(true);
    const int count = 1 + Below(3);
    for (int i = 0; i < count; ++i) AddOne(&request);
    return request;
  }
  int Below(int bound) { return static_cast<int>(random_() % bound); }

 private:
  std::string Pick(const char* kind, int count) {
    return absl::StrCat(kind, Below(count));
  }
  // An image is always the same bytes for the same number.
  std::string Image(int number) const {
    std::mt19937 shape(number);
    std::vector<oci::Digest> blobs = {D(absl::StrCat("config", number % 5))};
    const size_t count = 1 + shape() % 4;
    for (size_t i = 0; i < count; ++i) {
      blobs.push_back(D(absl::StrCat("layer", shape() % 12)));
    }
    std::sort(blobs.begin() + 1, blobs.end());
    blobs.erase(std::unique(blobs.begin() + 1, blobs.end()), blobs.end());
    return number % 4 == 3 ? store::ImageText(blobs, D(Image(number - 1)))
                           : store::ImageText(blobs);
  }
  std::string Index(int number) const {
    return store::IndexText({D(Image(number)), D(Image(number + 2))});
  }
  oci::Digest AnyContent() {
    switch (Below(4)) {
      case 0:
        return D(Pick("config", 5));
      case 1:
        return D(Index(Below(4)));
      case 2:
        return D(Image(Below(10)));
      default:
        return D(Pick("layer", 12));
    }
  }
  oci::Digest AnyImage() {
    return Below(3) == 0 ? D(Index(Below(4))) : D(Image(Below(10)));
  }

  void AddOne(v1::RecordRequest* request) {
    v1::Operation* op = request->add_operations();
    switch (Below(16)) {
      case 0:
      case 1:
        return AddBlob(op->mutable_put_blob());
      case 2:
        return op->mutable_remove_blob()->mutable_name()->set_digest(
            AnyContent().ToString());
      case 3:
      case 4:
        return op->mutable_put_manifest()->set_manifest(Image(Below(10)));
      case 5:
        return op->mutable_put_manifest()->set_manifest(Index(Below(4)));
      case 6:
      case 7:
        return AddTag(op->mutable_put_tag());
      case 8:
        op->mutable_remove_tag()->set_repository(Pick("repo", 3));
        return op->mutable_remove_tag()->set_tag(Pick("tag", 3));
      case 9:
        return AddContainer(op->mutable_put_container());
      case 10:
        return AddRemoval(op->mutable_remove_named());
      case 11:
        return AddMember(op);
      case 12:
        // Only what is known can be used.
        AddBlob(op->mutable_put_blob());
        *request->add_operations()->mutable_touch()->mutable_name() =
            op->put_blob().name();
        return;
      default:
        return AddOther(op);
    }
  }
  void AddBlob(v1::PutBlob* put) {
    put->mutable_name()->set_digest(
        D(Below(2) == 0 ? Pick("config", 5) : Pick("layer", 12)).ToString());
    put->mutable_bytes()->set_logical_bytes(Below(10'000));
    put->mutable_bytes()->set_allocated_bytes(4096 * Below(4));
  }
  void AddTag(v1::PutTag* put) {
    put->set_repository(Pick("repo", 3));
    put->set_tag(Pick("tag", 3));
    put->set_digest(AnyImage().ToString());
  }
  void AddContainer(v1::PutContainer* put) {
    put->set_id(Pick("container", 4));
    put->set_name(put->id());
    put->set_state(Below(2) == 0 ? v1::CONTAINER_STATE_RUNNING
                                 : v1::CONTAINER_STATE_EXITED);
    put->set_image_digest(AnyImage().ToString());
    if (Below(2) == 0) put->set_writable_bytes(Below(1000));
    if (Below(2) == 0) put->add_volumes(Pick("volume", 3));
    if (Below(2) == 0) put->set_snapshot(Pick("snapshot", 4));
  }
  void AddRemoval(v1::RemoveNamed* remove) {
    switch (Below(4)) {
      case 0:
        remove->set_kind(v1::NODE_KIND_CONTAINER);
        return remove->set_name(Pick("container", 4));
      case 1:
        remove->set_kind(v1::NODE_KIND_VOLUME);
        return remove->set_name(Pick("volume", 3));
      case 2:
        remove->set_kind(v1::NODE_KIND_SNAPSHOT);
        return remove->set_name(Pick("snapshot", 4));
      default:
        remove->set_kind(v1::NODE_KIND_BUILD_CACHE);
        return remove->set_name(Pick("cache", 3));
    }
  }
  void AddMember(v1::Operation* op) {
    const std::string repository = Pick("repo", 3);
    const std::string digest = AnyContent().ToString();
    if (Below(10) == 0) {
      return op->mutable_remove_repository()->set_repository(repository);
    }
    if (Below(3) == 0) {
      v1::RemoveMembership* remove = op->mutable_remove_membership();
      remove->set_repository(repository);
      remove->set_digest(digest);
      return remove->set_kind(v1::MEMBERSHIP_KIND_REVISION);
    }
    v1::PutMembership* put = op->mutable_put_membership();
    put->set_repository(repository);
    put->set_digest(digest);
    put->set_kind(v1::MEMBERSHIP_KIND_REVISION);
  }
  void AddOther(v1::Operation* op) {
    switch (Below(4)) {
      case 0:
        op->mutable_put_volume()->set_name(Pick("volume", 3));
        return op->mutable_put_volume()->set_size_bytes(Below(500));
      case 1:
        op->mutable_put_snapshot()->set_key(Pick("snapshot", 4));
        op->mutable_put_snapshot()->set_size_bytes(Below(500));
        return op->mutable_put_snapshot()->set_image_digest(
            AnyImage().ToString());
      case 2:
        op->mutable_put_build_cache()->set_id(Pick("cache", 3));
        op->mutable_put_build_cache()->set_is_in_use(Below(2) == 0);
        op->mutable_put_build_cache()->set_is_shared(Below(2) == 0);
        return op->mutable_put_build_cache()->set_size_bytes(Below(500));
      default:
        op->mutable_put_upload()->set_repository(Pick("repo", 3));
        op->mutable_put_upload()->set_id(Pick("upload", 2));
        return op->mutable_put_upload()->mutable_bytes()->set_logical_bytes(
            Below(500));
    }
  }

  std::mt19937 random_;
};

class MutationSequenceTest : public ServerFixture {
 protected:
  MutationSequenceTest() {
    auto engine = std::make_unique<WatchedEngine>();
    watched_ = engine.get();
    engine_ = std::move(engine);
    options_.grace_period = absl::Minutes(30);
  }

  void SetUp() override {
    ServerFixture::SetUp();
    v1::RegisterStoreRequest add;
    add.set_name("engine");
    add.set_uri("external:engine");
    add.set_knows_containers(true);
    v1::Store store;
    const grpc::Status status =
        Ask(store_stub_, &v1::StoreService::Stub::RegisterStore, add, &store);
    ASSERT_TRUE(status.ok()) << status.error_message();
    watched_->before_commit = [this] {
      ++commit_count_;
      ExpectExact();
    };
  }
  void TearDown() override {
    watched_->before_commit = nullptr;
    ServerFixture::TearDown();
  }

  // I6, by the library: of what the commit before has left.
  void ExpectExact() {
    if (graph_ == nullptr) return;
    const auto reader = graph_->Read();
    index::RecountInputs inputs;
    inputs.store = 0;
    inputs.now = clock_.Now();
    inputs.grace_period = options_.grace_period;
    const index::StoreTotals recounted = index::Recount(reader->view(), inputs);
    ++check_count_;
    if (recounted == reader->totals(0)) return;
    ADD_FAILURE() << "counted: " << index::ToString(reader->totals(0))
                  << "\nrecounted: " << index::ToString(recounted);
  }

  // Each commit but the last is checked by the next; that one is checked here.
  void Send(RandomMutations* mutations) {
    const uint64_t commits_before = commit_count_;
    const uint64_t checks_before = check_count_;
    grpc::ClientContext context;
    v1::RecordStreamResponse response;
    const auto writer = graph_stub_->RecordStream(&context, &response);
    for (int i = 0; i < kMutationsPerStream; ++i) {
      ASSERT_TRUE(writer->Write(mutations->Next()));
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.request_count(), kMutationsPerStream);
    ExpectExact();
    const uint64_t commits = commit_count_ - commits_before;
    ASSERT_EQ(check_count_ - checks_before, commits + 1);
    ASSERT_LE(commits, response.changed_count());
    step_count_ += commits;
    change_count_ += response.changed_count();
  }

  std::string Df() {
    v1::GetDiskUsageResponse response;
    const grpc::Status status =
        Ask(usage_stub_, &v1::UsageService::Stub::GetDiskUsage, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.DebugString();
  }

  void Verify() {
    grpc::ClientContext context;
    const auto reader = store_stub_->VerifyStore(&context, {});
    v1::VerifyStoreResponse response;
    while (reader->Read(&response)) {
      for (const v1::Finding& finding : response.findings()) {
        ADD_FAILURE() << finding.DebugString();
      }
    }
    const grpc::Status status = reader->Finish();
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_TRUE(response.is_complete());
  }

  WatchedEngine* watched_ = nullptr;
  uint64_t commit_count_ = 0;
  uint64_t check_count_ = 0;
  uint64_t step_count_ = 0;  // commits of mutations, each checked
  uint64_t change_count_ = 0;
};

TEST_F(MutationSequenceTest, DfIsExactAfterEveryMutation) {
  const unsigned seed = Seed();
  std::cout << "RECLAIM_SEED=" << seed << "\n";
  RecordProperty("seed", absl::StrCat(seed));
  RandomMutations mutations(seed);
  for (uint64_t i = 1; step_count_ < kCommitCount; ++i) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " stream ", i));
    ASSERT_LE(i, kStreamCountMax);
    Send(&mutations);
    if (HasFailure()) return;
    clock_.Advance(absl::Seconds(mutations.Below(600)));
    ExpectExact();
    if (i % kStreamsPerVerify == 0) Verify();
    if (i % kStreamsPerRestart != 0) continue;
    const std::string before = Df();
    RestartServer();
    ASSERT_EQ(Df(), before);
  }
  std::cout << change_count_ << " changes in " << step_count_ << " commits, "
            << check_count_ << " checks\n";
  EXPECT_GE(change_count_, kCommitCount);
  RecordProperty("figure_mutations_after_each_of_which_df_was_recounted",
                 absl::StrCat(step_count_));
}

}  // namespace
}  // namespace reclaim::rpc

// gc/cache_proof_fixture.h — a registry that answers what it is told to, and a
// store of five layers in the repository "app"; for tests.

#ifndef RECLAIM_GC_CACHE_PROOF_FIXTURE_H_
#define RECLAIM_GC_CACHE_PROOF_FIXTURE_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gc/cache_proof.h"
#include "gc/collected_store.h"
#include "gc/plan.h"
#include "gc/records.h"
#include "gc/registry_witness.h"
#include "gc/run_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/content_store.h"
#include "store/open_store.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {

inline constexpr char kUrl[] = "http://127.0.0.1:5000";

inline std::string NameOf(const std::string& repository,
                          const oci::Digest& digest) {
  return absl::StrCat(repository, "@", digest.ToString());
}

// Answers what it is told to.
class ScriptedRegistry final : public RegistryWitness {
 public:
  absl::StatusOr<std::unique_ptr<RegistryConversation>> Open(
      const std::string& url) override {
    opened.push_back(url);
    if (!is_up) return absl::UnavailableError("nobody listens");
    return std::unique_ptr<RegistryConversation>(
        std::make_unique<Conversation>(this));
  }

  std::set<std::string> has;
  std::set<std::string> fails;  // has no answer of these
  bool is_up = true;
  std::vector<std::string> opened;
  std::vector<std::string> asked;

 private:
  class Conversation final : public RegistryConversation {
   public:
    explicit Conversation(ScriptedRegistry* registry) : registry_(*registry) {}
    absl::StatusOr<bool> HasBlob(const std::string& repository,
                                 const oci::Digest& digest) override {
      const std::string name = NameOf(repository, digest);
      registry_.asked.push_back(name);
      if (registry_.fails.count(name) > 0) {
        return absl::UnavailableError("the connection broke");
      }
      return registry_.has.count(name) > 0;
    }

   private:
    ScriptedRegistry& registry_;
  };
};

class CacheProofTest : public ::testing::Test {
 protected:
  CacheProofTest() {
    auto graph = index::ReferenceGraph::Open(&engine_, &clock_, {});
    EXPECT_THAT(graph, base::IsOk());
    graph_ = *std::move(graph);
    record_.name = "s";
    record_.kind = store::StoreKind::kRegistry;
    record_.writers = {absl::ZeroDuration(), index::DescriptorCache::kMemory,
                       kUrl};
    const auto id = graph_->RegisterStore(record_);
    EXPECT_THAT(id, base::IsOk());
    auto runs = RunStore::Open(&engine_);
    EXPECT_THAT(runs, base::IsOk());
    runs_ = *std::move(runs);
    for (const char* bytes : {"a", "b", "c", "d", "e"}) {
      tree_.Layer("app", bytes);
    }
    auto store =
        store::OpenStore({store::StoreKind::kRegistry, folder_.path()}, false);
    EXPECT_THAT(store, base::IsOk());
    store_ = *std::move(store);
    site_.graph = graph_.get();
    site_.clock = &clock_;
    site_.runs = runs_.get();
    site_.witness = &registry_;
    site_.name = "s";
    site_.id = *id;
    site_.store = store_.get();
  }

  static oci::Digest D(const std::string& bytes) {
    return oci::Digest::Sha256Of(bytes);
  }
  static std::string Name(const std::string& bytes) {
    return NameOf("app", D(bytes));
  }
  static PlanItem Item(store::RemovalKind kind, const std::string& bytes,
                       const std::string& repository = "app") {
    PlanItem item;
    item.removal.emplace();
    item.removal->kind = kind;
    item.removal->repository = repository;
    item.removal->digest = D(bytes);
    return item;
  }
  static PlanItem Link(const std::string& bytes) {
    return Item(store::RemovalKind::kLayerLink, bytes);
  }
  static QuarantineRecord Record(
      PlanItem item, QuarantineState state = QuarantineState::kQuarantined) {
    QuarantineRecord record;
    record.item = std::move(item);
    record.state = state;
    return record;
  }
  void RegistryHas(const std::vector<std::string>& layers) {
    registry_.has.clear();
    for (const std::string& bytes : layers) registry_.has.insert(Name(bytes));
  }

  CacheEvidence Evidence() const {
    const auto evidence = runs_->GetEvidence(site_.id);
    EXPECT_THAT(evidence, base::IsOk());
    return evidence.ok() ? *evidence : CacheEvidence();
  }
  void Put(const CacheEvidence& evidence) {
    const auto write = RunStore::EvidenceWrite(site_.id, evidence);
    ASSERT_THAT(write, base::IsOk());
    ASSERT_THAT(graph_->HoldWriteOrder()->Commit({}, {}, {*write}, "test"),
                base::IsOk());
  }
  // Of the evidence that is recorded.
  std::vector<std::string> Canaries() const {
    std::vector<std::string> names;
    for (const Canary& canary : Evidence().canaries) {
      names.push_back(NameOf(canary.repository, canary.digest));
    }
    return names;
  }
  absl::StatusOr<absl::Time> Forgotten() {
    const auto forgetting = AskWhatIsForgotten(&site_, record_);
    if (!forgetting.ok()) return forgetting.status();
    lost_ = forgetting->lost;
    return forgetting->until;
  }
  // A sweep of one batch: what of it is in the registry's memory at its end.
  void SweepAndRemember(const std::vector<PlanItem>& items,
                        const std::vector<std::string>& remembered) {
    CanaryWatch watch(&site_, record_);
    watch.Prime(items);
    std::vector<QuarantineRecord> moved;
    moved.reserve(items.size());
    for (const PlanItem& item : items) moved.push_back(Record(item));
    watch.Moved(moved);
    RegistryHas(remembered);
    ASSERT_THAT(watch.Conclude(), base::IsOk());
  }

  base::SimulatedClock clock_;
  index::MemoryEngine engine_;
  store::TempFolder folder_;
  store::RegistryTree tree_{&folder_};
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<RunStore> runs_;
  std::unique_ptr<store::ContentStore> store_;
  ScriptedRegistry registry_;
  index::StoreRecord record_;
  CollectedStore site_;
  std::optional<absl::Time> lost_;  // as the last question told
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_CACHE_PROOF_FIXTURE_H_

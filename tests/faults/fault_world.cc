#include "tests/faults/fault_world.h"

#include <sys/xattr.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "index/verify.h"
#include "oci/digest.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;

// Path and digest of each file of a snapshot; "" for what is no file.
std::map<std::string, std::string> FilesOf(const std::string& snapshot) {
  std::map<std::string, std::string> files;
  for (const absl::string_view line :
       absl::StrSplit(snapshot, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    files[words.front()] = words.size() > 3 ? words.back() : "";
  }
  return files;
}

}  // namespace

const char* ToString(FaultWorld::Step step) {
  switch (step) {
    case FaultWorld::Step::kScan:
      return "scan";
    case FaultWorld::Step::kApply:
      return "apply";
    case FaultWorld::Step::kRestore:
      return "restore";
    case FaultWorld::Step::kPurge:
      return "purge";
    case FaultWorld::Step::kRecover:
      return "recover";
  }
  return "";
}

void FaultWorld::Begin(store::StoreKind kind, Step step) {
  // What is live, alone, to know its files.
  if (kind == store::StoreKind::kRegistry) {
    store::RegistryTree tree(&folder_);
    tree.Image("app", "v1", {"base", "new"});
    live_ = FilesOf(folder_.Snapshot());
    tree.Image("app", "", {"base", "old"});
    tree.Upload("app", "u1", "given up");
    tree.Blob("nothing names me");
  } else {
    store::LayoutTree tree(&folder_, "a");
    const oci::Digest live = tree.Image({"base", "new"});
    live_ = FilesOf(folder_.Snapshot());
    tree.Entry(live, "v1");
    tree.Entry(tree.Image({"base", "old"}), "");
    tree.Blob("nothing names me");
    // user::rw-, user:4321:r--, group::r--, mask::r--, other::r--
    const unsigned char kAccessList[] = {
        2, 0,   0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,  4,
        0, 225, 16,  0,   0,   4,   0,  4, 0,   255, 255, 255, 255, 16, 0,
        4, 0,   255, 255, 255, 255, 32, 0, 4,   0,   255, 255, 255, 255};
    // So that the calls which keep it are made.
    ASSERT_EQ(setxattr((folder_.path() + "/a/index.json").c_str(),
                       "system.posix_acl_access", kAccessList,
                       sizeof(kAccessList), 0),
              0);
  }
  Open(kind);
  if (step == Step::kScan) return;
  Scan();
  if (step == Step::kApply) return;
  if (step == Step::kRecover) {
    CrashAt(CrashCommit(kind));
    return;
  }
  ASSERT_THAT(ApplyNow(), IsOk());
  on_record_before_ = OnRecord();
}

// Every commit from this one on fails: dead in the middle of an apply.
void FaultWorld::CrashAt(int commit) {
  base::ScopedFault crash("engine.commit", absl::UnavailableError("crash"),
                          commit);
  ApplyNow().IgnoreError();  // the test is about what comes after
}

// The first commit without which something has moved and no record says so.
int FaultWorld::CrashCommit(store::StoreKind kind) {
  static auto* const kCommits = new std::map<store::StoreKind, int>;
  const auto [it, is_new] = kCommits->try_emplace(kind, -1);
  for (int commit = 0; is_new && it->second < 0; ++commit) {
    FaultWorld world;
    world.Begin(kind, Step::kApply);
    world.CrashAt(commit);
    if (!world.InFolder().empty()) it->second = commit;
    RECLAIM_CHECK(commit < 100, "an apply moves something");
  }
  return it->second;
}

absl::Status FaultWorld::ApplyNow() {
  PruneRequest request = Request();
  request.policy.batch_item_count = 4;
  RECLAIM_ASSIGN_OR_RETURN(const Plan plan, collector_->MakePlan(request, {}));
  RECLAIM_ASSIGN_OR_RETURN(const gc::Run run, Apply(plan));
  run_id_ = run.id;
  return absl::OkStatus();
}

absl::Status FaultWorld::PurgeAll() { return PurgeNow().status(); }

absl::Status FaultWorld::TryRestart() {
  collector_.reset();
  graph_.reset();
  store_.reset();
  RECLAIM_ASSIGN_OR_RETURN(
      graph_, index::ReferenceGraph::Open(engine_.get(), &clock_, options_));
  RECLAIM_ASSIGN_OR_RETURN(store_,
                           store::OpenStore({kind_, folder_.path()}, false));
  RECLAIM_ASSIGN_OR_RETURN(
      collector_, Collector::Create(graph_.get(), &clock_, &random_, nullptr));
  RECLAIM_RETURN_IF_ERROR(collector_->AttachStore("s", store_.get()));
  return collector_->Recover();
}

absl::Status FaultWorld::Take(Step step) {
  switch (step) {
    case Step::kScan:
      RECLAIM_RETURN_IF_ERROR(store_->GetCapacity().status());
      RECLAIM_RETURN_IF_ERROR(
          collector_->Scan("s", false, "test", {}).status());
      return index::Verify(graph_.get(), "s", store_.get(), clock_,
                           {/*read_data=*/true, {}, {}, {}})
          .status();
    case Step::kApply:
      return ApplyNow();
    case Step::kRestore:
      return RestoreRun(run_id_).status();
    case Step::kPurge:
      return PurgeAll();
    case Step::kRecover:
      return TryRestart();
  }
  return absl::OkStatus();
}

std::set<FaultWorld::Item> FaultWorld::InFolder() const {
  std::set<Item> items;
  const auto listed = store_->ListQuarantine();
  EXPECT_THAT(listed, IsOk());
  if (!listed.ok()) return items;
  for (const store::QuarantinedItem& item : *listed) {
    items.insert({item.run_id, item.removal});
  }
  return items;
}

std::set<FaultWorld::Item> FaultWorld::OnRecord() const {
  std::set<Item> items;
  const auto listed = collector_->ListQuarantine("s", 0, 1000000);
  EXPECT_THAT(listed, IsOk());
  if (!listed.ok()) return items;
  for (const QuarantineEntry& entry : *listed) {
    if (entry.item.removal) items.insert({entry.run_id, *entry.item.removal});
  }
  return items;
}

void FaultWorld::ExpectLiveFiles() const {
  const std::map<std::string, std::string> files = FilesOf(folder_.Snapshot());
  for (const auto& [path, digest] : live_) {
    const auto it = files.find(path);
    ASSERT_NE(it, files.end()) << path << " is gone";
    ASSERT_EQ(it->second, digest) << path;
  }
}

// What the graph calls present can be read; no writer is told otherwise.
void FaultWorld::ExpectPresentIsThere() const {
  std::vector<std::pair<store::Place, oci::Digest>> present;
  {
    const auto reader = graph_->Read();
    const index::GraphView& view = reader->view();
    for (index::NodeId id = 0; id < view.node_count(); ++id) {
      if (!view.Exists(id) || !index::IsContent(view.kind(id)) ||
          view.kind(id) == index::NodeKind::kExtent ||
          view.state(id) != index::NodeState::kPresent) {
        continue;
      }
      present.push_back(
          {view.PlaceName(view.fields(id).place), view.digest(id)});
    }
  }
  for (const auto& [place, digest] : present) {
    EXPECT_THAT(store_->Stat(place, digest), IsOk());
  }
}

void FaultWorld::ExpectNothingLost() {
  ExpectLiveFiles();
  if (graph_ == nullptr || store_ == nullptr || collector_ == nullptr) return;
  ExpectPresentIsThere();
  ExpectExact();
  const std::set<Item> in_folder = InFolder();
  const std::set<Item> on_record = OnRecord();
  for (const Item& item : on_record_before_) {
    // Purged or restored, says the record; then the bytes are not in
    // quarantine.
    if (on_record.count(item) == 0) {
      EXPECT_EQ(in_folder.count(item), 0u) << ToString(item.second);
    }
  }
}

void FaultWorld::ExpectCleanVerification() {
  std::string findings;
  index::VerifyOptions options;
  options.read_data = true;
  options.on_finding = [&](const index::Finding& finding) {
    // Our trees say of each part that it has one byte; and what is written
    // while a test runs has the time of another clock than the daemon's.
    if (finding.check == "declared-size" || finding.check == "future-time") {
      return;
    }
    absl::StrAppend(&findings, finding.check, " ", finding.subject, ": ",
                    finding.detail, "\n");
  };
  const auto report =
      index::Verify(graph_.get(), "s", store_.get(), clock_, options);
  ASSERT_THAT(report, IsOk());
  EXPECT_EQ(findings, "");
}

void FaultWorld::ExpectRecovery() {
  ASSERT_THAT(TryRestart(), IsOk());
  ExpectLiveFiles();
  ExpectPresentIsThere();
  EXPECT_EQ(InFolder(), OnRecord());
  // A grown clock: what the quarantine or an upload's age still keeps may go.
  clock_.Advance(absl::Hours(1000));
  ASSERT_THAT(collector_->Scan("s", false, "test", {}), IsOk());
  ASSERT_THAT(ApplyNow(), IsOk());
  ASSERT_THAT(PurgeAll(), IsOk());
  ExpectLiveFiles();
  EXPECT_EQ(InFolder(), std::set<Item>());
  EXPECT_EQ(OnRecord(), std::set<Item>());
  EXPECT_FALSE(folder_.Exists(".reclaim"));
  for (const char* gone : {"old", "nothing names me"}) {
    EXPECT_FALSE(store_
                     ->Stat(kind_ == store::StoreKind::kRegistry ? "" : "a",
                            oci::Digest::Sha256Of(gone))
                     .ok())
        << gone;
  }
  ASSERT_THAT(collector_->Scan("s", false, "test", {}), IsOk());
  ExpectCleanVerification();
}

}  // namespace reclaim::gc

// A graph whose rows are loaded at once, beside one into which each was put.
//
// RECLAIM_SEED repeats a run.

#include "index/resident_loader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/memberships.h"
#include "index/node.h"
#include "index/recount.h"
#include "index/resident_graph.h"
#include "index/totals.h"
#include "oci/digest.h"
#include "store/types.h"
#include "tests/support/seed.h"

namespace reclaim::index {
namespace {

using store::MembershipKind;
using Kinds = std::vector<NodeKind>;

constexpr absl::Duration kGrace = absl::Hours(24);
constexpr StoreId kStoreCount = 2;
constexpr Tally kOrphans = {3, {30, 40}};

absl::Time Now() { return absl::FromUnixSeconds(1767323045); }

oci::Digest DigestOf(NodeId id) {
  const std::string text = absl::StrCat("node ", id);
  if (id % 7 != 0) return oci::Digest::Sha256Of(text);
  // The first half of some is that of others.
  std::string bytes(64, static_cast<char>('a' + id % 2));
  bytes.replace(64 - text.size(), text.size(), text);
  return *oci::Digest::FromBytes(oci::DigestAlgorithm::kSha512, bytes);
}

// Records of two stores, as any history could have left them: ids in any order,
// some of them gone, edges to what comes later, doubt, files with several
// names, and all that is a root.
class RandomRows {
 public:
  explicit RandomRows(uint64_t seed) : random_(seed) {
    const NodeId count = 1 + Below(90);
    for (NodeId id = 0; id < count; ++id) {
      kinds_.push_back(AnyKind());
      stores_.push_back(static_cast<StoreId>(Below(kStoreCount)));
      ranks_.push_back(id);
    }
    std::shuffle(ranks_.begin(), ranks_.end(), random_);
    for (NodeId id = 0; id < count; ++id) {
      if (!kinds_[id]) continue;
      if (IsContent(*kinds_[id])) {
        AddContent(id);
      } else {
        AddNamed(id);
      }
    }
    for (const NamedRow& row : named) {
      if (row.key.kind == NodeKind::kRepository) AddLinks(row);
    }
  }

  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  bool Chance(uint32_t n) { return Below(n) == 0; }
  PlaceId PlaceIn(StoreId store) { return store * 2u + Below(2); }
  absl::Time Recorded() { return Now() - absl::Hours(Below(60)); }
  absl::Time Expiry() {
    if (Chance(3)) return absl::InfiniteFuture();
    return Now() + absl::Hours(Below(20)) - absl::Hours(6);
  }
  // Different ones of the store, in any order.
  std::vector<NodeId> Some(StoreId store, uint32_t most, const Kinds& kinds) {
    std::vector<NodeId> some;
    for (NodeId id = 0; id < kinds_.size(); ++id) {
      if (!kinds_[id] || stores_[id] != store) continue;
      if (std::count(kinds.begin(), kinds.end(), *kinds_[id]) > 0) {
        some.push_back(id);
      }
    }
    std::shuffle(some.begin(), some.end(), random_);
    some.resize(std::min<size_t>(some.size(), Below(most + 1)));
    return some;
  }
  NodeId One(StoreId store, const Kinds& kinds) {
    const std::vector<NodeId> some = Some(store, 1, kinds);
    return some.empty() ? kNoNode : some[0];
  }
  std::vector<NodeId> TargetsOf(NodeKind kind, StoreId store);
  std::mt19937_64* random() { return &random_; }

  // Ascending by id.
  std::vector<ContentRow> content;
  std::vector<NamedRow> named;
  // Ascending by repository, content, kind.
  std::vector<MembershipRow> links;

 private:
  std::optional<NodeKind> AnyKind() {
    const NodeKind kinds[] = {
        NodeKind::kBlob,       NodeKind::kConfig,    NodeKind::kLayer,
        NodeKind::kLayer,      NodeKind::kManifest,  NodeKind::kManifest,
        NodeKind::kManifest,   NodeKind::kManifest,  NodeKind::kImageIndex,
        NodeKind::kImageIndex, NodeKind::kExtent,    NodeKind::kRepository,
        NodeKind::kTag,        NodeKind::kTag,       NodeKind::kTag,
        NodeKind::kContainer,  NodeKind::kSnapshot,  NodeKind::kSnapshot,
        NodeKind::kVolume,     NodeKind::kNetwork,   NodeKind::kBuildCache,
        NodeKind::kLease,      NodeKind::kLease,     NodeKind::kPin,
        NodeKind::kUpload,     NodeKind::kRepository};
    const uint32_t drawn = Below(28);
    if (drawn >= std::size(kinds)) return std::nullopt;
    return kinds[drawn];
  }
  store::Bytes AnyBytes() {
    const uint64_t bytes = Chance(20) ? uint64_t{1} << 39 : Below(100'000);
    return Chance(2) ? store::Bytes{bytes, bytes}
                     : store::Bytes{bytes, bytes + 77};
  }
  void AddContent(NodeId id);
  void AddNamed(NodeId id);
  void AddLinks(const NamedRow& repository);

  std::mt19937_64 random_;
  std::vector<std::optional<NodeKind>> kinds_;
  std::vector<StoreId> stores_;
  std::vector<NodeId> ranks_;
};

void RandomRows::AddContent(NodeId id) {
  ContentRow row;
  row.id = id;
  row.kind = *kinds_[id];
  row.store = stores_[id];
  row.key.place = PlaceIn(row.store);
  row.stamp = Below(3);
  row.recorded = Recorded();
  row.bytes = AnyBytes();
  if (row.kind == NodeKind::kExtent) {
    row.link_count = Below(4);
    content.push_back(row);
    return;
  }
  row.key.digest = DigestOf(id);
  row.state =
      Chance(4) ? static_cast<NodeState>(Below(3)) : NodeState::kPresent;
  if (row.state == NodeState::kAbsent) row.bytes = {};
  if (Chance(20)) row.flags |= kOpaque;
  if (Chance(3)) row.used = Now() - absl::Minutes(Below(1000));
  if (row.kind == NodeKind::kManifest) {
    row.children = Some(row.store, 6,
                        {NodeKind::kBlob, NodeKind::kConfig, NodeKind::kLayer});
  }
  if (row.kind == NodeKind::kImageIndex) {
    // Digests make no circles.
    for (const NodeId child :
         Some(row.store, 6, {NodeKind::kManifest, NodeKind::kImageIndex})) {
      if (ranks_[child] < ranks_[id]) row.children.push_back(child);
    }
  }
  if (IsManifestLike(row.kind) && Chance(2)) {
    // With these there may be some.
    const NodeId subject =
        One(row.store,
            {NodeKind::kManifest, NodeKind::kImageIndex, NodeKind::kBlob});
    if (subject != id && subject != kNoNode) {
      row.subject = subject;
      row.flags |= kReferrer;
    }
  }
  if (Chance(3)) row.extent = One(row.store, {NodeKind::kExtent});
  if (row.extent != kNoNode) row.bytes = {};
  content.push_back(row);
}

std::vector<NodeId> RandomRows::TargetsOf(NodeKind kind, StoreId store) {
  const Kinds images = {NodeKind::kManifest, NodeKind::kImageIndex,
                        NodeKind::kBlob, NodeKind::kConfig};
  Kinds kinds = images;
  switch (kind) {
    case NodeKind::kTag:
      return Some(store, 1, images);
    case NodeKind::kContainer:
      kinds.push_back(NodeKind::kVolume);
      kinds.push_back(NodeKind::kNetwork);
      kinds.push_back(NodeKind::kSnapshot);
      return Some(store, 4, kinds);
    case NodeKind::kLease:
    case NodeKind::kSnapshot:
      kinds.push_back(NodeKind::kSnapshot);
      kinds.push_back(NodeKind::kLayer);
      return Some(store, 4, kinds);
    case NodeKind::kPin:
      return Some(store, 2, images);
    case NodeKind::kBuildCache:
      return Some(store, 2, {NodeKind::kLayer, NodeKind::kBlob});
    default:
      return {};
  }
}

void RandomRows::AddNamed(NodeId id) {
  NamedRow row;
  row.id = id;
  const NodeKind kind = *kinds_[id];
  row.key.kind = kind;
  row.key.store = stores_[id];
  row.key.name = absl::StrCat("n", id);
  if (kind == NodeKind::kTag || kind == NodeKind::kUpload) {
    const NodeId repository = One(stores_[id], {NodeKind::kRepository});
    row.key.scope =
        repository == kNoNode ? "nowhere" : absl::StrCat("n", repository);
  }
  row.place = Chance(5) ? kNoPlace : PlaceIn(row.key.store);
  row.bytes = AnyBytes();
  row.stamp = Below(3);
  row.recorded = Recorded();
  if (Chance(3)) row.used = Now() - absl::Minutes(Below(1000));
  if (kind == NodeKind::kLease || kind == NodeKind::kUpload) {
    row.expires = Expiry();
  }
  if (Chance(4)) row.flags |= kUnknownSize;
  if (kind == NodeKind::kContainer && Chance(2)) row.flags |= kRunning;
  if (kind == NodeKind::kLease && Chance(2)) row.flags |= kFlat;
  if (kind == NodeKind::kBuildCache && Chance(3)) row.flags |= kInUse;
  if (kind == NodeKind::kBuildCache && Chance(3)) row.flags |= kShared;
  row.targets = TargetsOf(kind, row.key.store);
  named.push_back(row);
}

void RandomRows::AddLinks(const NamedRow& repository) {
  for (const ContentRow& row : content) {
    if (row.store != repository.key.store || row.kind == NodeKind::kExtent) {
      continue;
    }
    for (const MembershipKind kind :
         {MembershipKind::kRevision, MembershipKind::kLayer}) {
      if (!Chance(4)) continue;
      MembershipRow link;
      link.repository = repository.id;
      link.content = row.id;
      link.kind = kind;
      link.linked = Recorded();
      link.is_only_name = kind == MembershipKind::kRevision && Chance(5);
      links.push_back(link);
    }
  }
}

std::unique_ptr<ResidentGraph> Empty() {
  auto graph = std::make_unique<ResidentGraph>(kGrace, nullptr);
  graph->PutStore(0, "a", DoubtUnit::kPlace);
  graph->PutStore(1, "b", DoubtUnit::kRepository);
  for (PlaceId place = 0; place < 4; ++place) {
    graph->PutPlace(place, static_cast<StoreId>(place / 2),
                    absl::StrCat("p", place));
  }
  graph->SetOrphans(0, kOrphans);
  graph->AdvanceTo(Now());
  return graph;
}

std::unique_ptr<ResidentGraph> PutEach(const RandomRows& rows) {
  std::unique_ptr<ResidentGraph> graph = Empty();
  for (const ContentRow& row : rows.content) graph->PutContent(row);
  for (const NamedRow& row : rows.named) graph->PutNamed(row);
  for (const MembershipRow& row : rows.links) graph->PutMembership(row);
  graph->TakeFlipped();  // all that came
  return graph;
}

std::unique_ptr<ResidentGraph> Load(
    const RandomRows& rows,
    uint32_t edges_at_once = ResidentLoader::kEdgesAtOnce) {
  std::unique_ptr<ResidentGraph> graph = Empty();
  ResidentLoader loader(graph.get());
  for (const ContentRow& row : rows.content) loader.PutContent(row);
  for (const NamedRow& row : rows.named) loader.PutNamed(row);
  LinkLoader links;
  for (const MembershipRow& row : rows.links) links.Put(row);
  links.Finish();
  EXPECT_EQ(loader.IndexDigests(), kNoNode);
  loader.LinkKeepers(edges_at_once);
  loader.Finish(std::move(links));
  return graph;
}

std::vector<NodeId> KeepersOf(const ResidentGraph& graph, NodeId id) {
  std::vector<NodeId> keepers;
  graph.ForEachKeeper(id, [&](NodeId keeper) {
    keepers.push_back(keeper);
    return true;
  });
  // Their order is nobody's business: a flat lease takes a snapshot anew that
  // was read after it.
  std::sort(keepers.begin(), keepers.end());
  return keepers;
}

using Member = std::tuple<NodeId, MembershipKind, absl::Time, bool>;
std::vector<Member> MembersOf(const ResidentGraph& graph, NodeId id) {
  std::vector<Member> members;
  graph.ForEachMember(
      id, [&](NodeId content, MembershipKind kind, absl::Time linked) {
        const auto row = graph.FindMembership(id, content, kind);
        members.emplace_back(content, kind, linked, row && row->is_only_name);
        return true;
      });
  return members;
}

std::vector<NodeId> RepositoriesOf(const ResidentGraph& graph, NodeId id) {
  std::vector<NodeId> repositories;
  graph.ForEachRepositoryOf(id, [&](NodeId repository) {
    repositories.push_back(repository);
    return true;
  });
  return repositories;
}

void ExpectSameFields(const ResidentGraph& a, const ResidentGraph& b,
                      NodeId id) {
  const NodeFields one = a.fields(id);
  const NodeFields other = b.fields(id);
  ASSERT_EQ(one.kind, other.kind);
  ASSERT_EQ(one.state, other.state);
  ASSERT_EQ(one.flags, other.flags);
  ASSERT_EQ(one.store, other.store);
  ASSERT_EQ(one.place, other.place);
  ASSERT_EQ(one.bytes, other.bytes);
  ASSERT_EQ(one.stamp, other.stamp);
  ASSERT_EQ(one.recorded, other.recorded);
  ASSERT_EQ(one.used, other.used);
  ASSERT_EQ(one.unreferenced_since, other.unreferenced_since);
  ASSERT_EQ(one.expires, other.expires);
}

void ExpectSameNode(const ResidentGraph& a, const ResidentGraph& b, NodeId id) {
  SCOPED_TRACE(absl::StrCat("node ", id, ", a ", ToString(a.kind(id))));
  ASSERT_EQ(a.Exists(id), b.Exists(id));
  ExpectSameFields(a, b, id);
  ASSERT_EQ(a.Kept(id), b.Kept(id));
  ASSERT_EQ(a.Referrers(id), b.Referrers(id));
  ASSERT_EQ(a.ExtentOf(id), b.ExtentOf(id));
  ASSERT_EQ(a.LinkCount(id), b.LinkCount(id));
  ASSERT_EQ(a.IsLinkedElsewhere(id), b.IsLinkedElsewhere(id));
  ASSERT_EQ(a.HasEdges(id), b.HasEdges(id));
  ASSERT_EQ(a.Edges(id).is_flat, b.Edges(id).is_flat);
  ASSERT_EQ(KeepersOf(a, id), KeepersOf(b, id));
  ASSERT_EQ(a.IsLive(id), b.IsLive(id));
  ASSERT_EQ(a.ReferenceCount(id), b.ReferenceCount(id));
  ASSERT_EQ(a.IsLiveWithoutTags(id), b.IsLiveWithoutTags(id));
  ASSERT_EQ(a.IsUsedByContainer(id), b.IsUsedByContainer(id));
  ASSERT_EQ(a.IsNamedByContainer(id), b.IsNamedByContainer(id));
  ASSERT_EQ(RepositoriesOf(a, id), RepositoriesOf(b, id));
  if (!a.Exists(id)) return;
  ASSERT_EQ(a.DoubtAbout(id), b.DoubtAbout(id));
  if (a.kind(id) == NodeKind::kRepository) {
    ASSERT_EQ(MembersOf(a, id), MembersOf(b, id));
    ASSERT_EQ(a.IsRepositoryInDoubt(id), b.IsRepositoryInDoubt(id));
  }
  if (!IsContent(a.kind(id))) {
    ASSERT_EQ(a.named_key(id), b.named_key(id));
    ASSERT_EQ(b.FindNamed(a.named_key(id)), id);
  } else if (a.kind(id) != NodeKind::kExtent) {
    ASSERT_EQ(a.digest(id), b.digest(id));
    ASSERT_EQ(b.FindContent(a.fields(id).place, a.digest(id)), id);
  }
}

std::vector<NodeId> NamedIn(const ResidentGraph& graph, NodeKind kind,
                            StoreId store) {
  std::vector<NodeId> named;
  graph.ForEachNamed(kind, store, [&](NodeId id) {
    named.push_back(id);
    graph.ForEachNamedIn(kind, store, graph.named_key(id).scope,
                         [&](NodeId in_scope) {
                           named.push_back(in_scope);
                           return true;
                         });
    return true;
  });
  return named;
}

void ExpectSameStore(const ResidentGraph& a, const ResidentGraph& b,
                     StoreId store) {
  SCOPED_TRACE(absl::StrCat("store ", store));
  RecountInputs inputs;
  inputs.store = store;
  inputs.now = b.now();
  inputs.grace_period = kGrace;
  if (store == 0) inputs.orphans = kOrphans;
  const StoreTotals recounted = Recount(b, inputs);
  ASSERT_EQ(a.totals(store), b.totals(store))
      << "one by one\n"
      << ToString(a.totals(store)) << "at once\n"
      << ToString(b.totals(store));
  ASSERT_EQ(b.totals(store), recounted)
      << "counted\n"
      << ToString(b.totals(store)) << "recounted\n"
      << ToString(recounted);
  for (int kind = 0; kind < kNodeKindCount; ++kind) {
    ASSERT_EQ(NamedIn(a, static_cast<NodeKind>(kind), store),
              NamedIn(b, static_cast<NodeKind>(kind), store))
        << kind;
  }
}

// Whatever anybody may ask of either.
void ExpectSame(const ResidentGraph& a, const ResidentGraph& b) {
  ASSERT_EQ(a.node_count(), b.node_count());
  ASSERT_EQ(a.now(), b.now());
  for (StoreId store = 0; store < kStoreCount; ++store) {
    ExpectSameStore(a, b, store);
  }
  for (PlaceId place = 0; place < 4; ++place) {
    ASSERT_EQ(a.HasDoubt(place), b.HasDoubt(place)) << place;
    ASSERT_EQ(a.IsWholeInDoubt(place), b.IsWholeInDoubt(place)) << place;
  }
  for (NodeId id = 0; id < a.node_count(); ++id) {
    ExpectSameNode(a, b, id);
    if (::testing::Test::HasFatalFailure()) return;
  }
  for (int hours = 0; hours < 80; ++hours) {
    const absl::Time time = a.now() + absl::Hours(hours);
    ASSERT_EQ(a.IsDue(time), b.IsDue(time)) << hours;
  }
}

// The same change of both.  What is not seen, such as counts, shows in what
// comes of it.
class Changes {
 public:
  Changes(RandomRows* rows, ResidentGraph* a, ResidentGraph* b)
      : rows_(*rows), graphs_{a, b} {}

  void Step() {
    switch (rows_.Below(9)) {
      case 0:
        return RemoveNamed();
      case 1:
      case 2:
        return ChangeNamed();
      case 3:
      case 4:
      case 5:
        return ChangeContent();
      case 6:
        return ChangeLink();
      case 7:
        return Pass(absl::Hours(rows_.Below(6)));
      case 8:
        return Stamp();
    }
  }

 private:
  void RemoveNamed() {
    if (rows_.named.empty()) return;
    const NamedRow& gone = rows_.named[rows_.Below(Size(rows_.named))];
    // A repository goes with what is in it, which goes first.
    for (const NamedRow& row : rows_.named) {
      if (gone.key.kind == NodeKind::kRepository && IsIn(row, gone)) {
        for (ResidentGraph* graph : graphs_) graph->RemoveNamed(row.id);
      }
    }
    for (ResidentGraph* graph : graphs_) graph->RemoveNamed(gone.id);
  }
  static bool IsIn(const NamedRow& row, const NamedRow& repository) {
    return row.key.store == repository.key.store &&
           row.key.scope == repository.key.name;
  }
  // Nothing comes into a repository that has gone.
  bool HasNoHome(const NamedRow& row) const {
    for (const NamedRow& other : rows_.named) {
      if (other.key.kind == NodeKind::kRepository && IsIn(row, other)) {
        return !graphs_[0]->Exists(other.id);
      }
    }
    return false;
  }
  void ChangeNamed() {
    if (rows_.named.empty()) return;
    NamedRow& row = rows_.named[rows_.Below(Size(rows_.named))];
    if (HasNoHome(row)) return;
    row.targets = rows_.TargetsOf(row.key.kind, row.key.store);
    row.recorded = rows_.Recorded();
    if (row.key.kind == NodeKind::kLease) {
      row.expires = rows_.Expiry();
      if (rows_.Chance(2)) row.flags ^= kFlat;
    }
    for (ResidentGraph* graph : graphs_) graph->PutNamed(row);
  }
  void ChangeContent() {
    if (rows_.content.empty()) return;
    ContentRow& row = rows_.content[rows_.Below(Size(rows_.content))];
    if (row.kind == NodeKind::kExtent) {
      row.link_count = rows_.Below(4);
    } else if (rows_.Chance(4)) {
      row.flags ^= kOpaque;
    } else if (rows_.Chance(4)) {
      row.extent = row.extent == kNoNode
                       ? rows_.One(row.store, {NodeKind::kExtent})
                       : kNoNode;
    } else {
      row.state = static_cast<NodeState>(rows_.Below(3));
    }
    for (ResidentGraph* graph : graphs_) graph->PutContent(row);
  }
  void ChangeLink() {
    if (rows_.links.empty()) return;
    MembershipRow& row = rows_.links[rows_.Below(Size(rows_.links))];
    if (!graphs_[0]->Exists(row.repository)) return;
    row.is_only_name = rows_.Chance(3);
    const bool is_put = rows_.Chance(2);
    for (ResidentGraph* graph : graphs_) {
      if (is_put) {
        graph->PutMembership(row);
      } else {
        graph->RemoveMembership(row.repository, row.content, row.kind);
      }
    }
  }
  void Pass(absl::Duration duration) {
    for (ResidentGraph* graph : graphs_) {
      graph->AdvanceTo(graph->now() + duration);
    }
  }
  void Stamp() {
    const NodeId count = graphs_[0]->node_count();
    if (count == 0) return;
    const NodeId id = rows_.Below(count);
    const Epoch stamp = rows_.Below(5);
    for (ResidentGraph* graph : graphs_) graph->SetStamp(id, stamp);
  }
  template <typename Rows>
  static uint32_t Size(const Rows& rows) {
    return static_cast<uint32_t>(rows.size());
  }

  RandomRows& rows_;
  const std::vector<ResidentGraph*> graphs_;
};

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
constexpr uint64_t kRoundCount = 60;
#else
constexpr uint64_t kRoundCount = 300;
#endif

TEST(ResidentLoaderPropertyTest, LoadedAtOnceIsAsIfEachRowHadBeenPut) {
  const uint64_t seed = tests::AskSeed();
  for (uint64_t round = 0; round < kRoundCount; ++round) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " round ", round));
    RandomRows rows(seed + round);
    const std::unique_ptr<ResidentGraph> each = PutEach(rows);
    // In few parts and in many, of one edge and of what a node has more.
    const std::unique_ptr<ResidentGraph> loaded =
        rows.Chance(2) ? Load(rows) : Load(rows, 1 + rows.Below(30));
    ExpectSame(*each, *loaded);
    EXPECT_FALSE(loaded->has_flipped()) << "nothing has changed";
    if (::testing::Test::HasFatalFailure()) return;
    Changes changes(&rows, each.get(), loaded.get());
    for (int step = 0; step < 10; ++step) {
      SCOPED_TRACE(absl::StrCat("step ", step));
      for (int i = 0; i < 4; ++i) changes.Step();
      ExpectSame(*each, *loaded);
      if (::testing::Test::HasFatalFailure()) return;
    }
    // A store goes only as far as each of its counts was right.
    each->RemoveStore(1);
    loaded->RemoveStore(1);
    ExpectSame(*each, *loaded);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

// As a database of many records that were put under keys of others would be.
TEST(LinkLoaderTest, LinksMayComeInAnyOrderAndTwice) {
  const uint64_t seed = tests::AskSeed();
  for (uint64_t round = 0; round < kRoundCount / 4; ++round) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " round ", round));
    RandomRows rows(seed + round);
    std::vector<MembershipRow> again = rows.links;
    for (MembershipRow& row : again) row.is_only_name = rows.Chance(2);
    rows.links.insert(rows.links.end(), again.begin(), again.end());
    std::shuffle(rows.links.begin(), rows.links.end(), *rows.random());
    ExpectSame(*PutEach(rows), *Load(rows));
    if (::testing::Test::HasFatalFailure()) return;
  }
}

// More than are packed at once, and the last of a part is the first of two
// links of its content.
TEST(LinkLoaderTest, ARepositoryOfManyLinksIsPackedInParts) {
  constexpr NodeId kContentCount = 80'000;
  constexpr NodeId kRepository = 7;
  LinkLoader links;
  Memberships twin;
  const auto put = [&](NodeId content, MembershipKind kind) {
    MembershipRow row;
    row.repository = kRepository;
    row.content = content;
    row.kind = kind;
    row.linked = absl::FromUnixMicros(content);
    links.Put(row);
    twin.Put(row);
  };
  put(0, MembershipKind::kLayer);
  for (NodeId content = 1; content < kContentCount; ++content) {
    put(content, MembershipKind::kRevision);
    put(content, MembershipKind::kLayer);
  }
  links.Finish();
  const std::vector<MembershipRow> members =
      links.memberships().MembersOf(kRepository);
  const std::vector<MembershipRow> expected = twin.MembersOf(kRepository);
  ASSERT_EQ(members.size(), expected.size());
  for (size_t i = 0; i < members.size(); ++i) {
    ASSERT_EQ(members[i].content, expected[i].content);
    ASSERT_EQ(members[i].kind, expected[i].kind);
    ASSERT_EQ(members[i].linked, expected[i].linked);
  }
  for (NodeId content = 0; content < kContentCount; ++content) {
    ASSERT_EQ(links.memberships().RepositoriesOf(content),
              twin.RepositoriesOf(content));
  }
}

ContentRow Blob(NodeId id, PlaceId place, const std::string& text) {
  ContentRow row;
  row.id = id;
  row.key = {place, oci::Digest::Sha256Of(text)};
  row.state = NodeState::kPresent;
  row.recorded = Now();
  return row;
}

TEST(ResidentLoaderTest, AnEmptyGraphIsLoadedToo) {
  const std::unique_ptr<ResidentGraph> graph = Empty();
  ResidentLoader loader(graph.get());
  EXPECT_EQ(loader.IndexDigests(), kNoNode);
  loader.LinkKeepers();
  loader.Finish(LinkLoader());
  EXPECT_EQ(graph->node_count(), 0u);
  graph->PutContent(Blob(0, 0, "first"));
  EXPECT_TRUE(graph->IsLive(0)) << "it is young";
}

TEST(ResidentLoaderTest, OneDigestInAPlaceIsOneNode) {
  for (const PlaceId place : {0u, 1u}) {
    const std::unique_ptr<ResidentGraph> graph = Empty();
    ResidentLoader loader(graph.get());
    loader.PutContent(Blob(0, 0, "same"));
    loader.PutContent(Blob(1, 0, "another"));
    loader.PutContent(Blob(2, place, "same"));
    EXPECT_EQ(loader.IndexDigests(), place == 0 ? 2u : kNoNode);
  }
}

// More than the table of digests has room for without growing, and as many
// again afterwards.
TEST(ResidentLoaderTest, ThousandsAreFoundByTheirDigests) {
  constexpr NodeId kCount = 20'000;
  const std::unique_ptr<ResidentGraph> graph = Empty();
  ResidentLoader loader(graph.get());
  for (NodeId id = 0; id < kCount; ++id) {
    // Names lie between.
    if (id % 10 == 0) continue;
    loader.PutContent(Blob(id, id % 4, absl::StrCat(id)));
  }
  EXPECT_EQ(loader.IndexDigests(), kNoNode);
  loader.LinkKeepers();
  loader.Finish(LinkLoader());
  for (NodeId id = kCount; id < 2 * kCount; ++id) {
    graph->PutContent(Blob(id, id % 4, absl::StrCat(id)));
  }
  for (NodeId id = 0; id < 2 * kCount; ++id) {
    const bool is_there = id >= kCount || id % 10 != 0;
    ASSERT_EQ(
        graph->FindContent(id % 4, oci::Digest::Sha256Of(absl::StrCat(id))),
        is_there ? id : kNoNode);
  }
}

// A layer of thousands of images, and an index of hundreds.
TEST(ResidentLoaderTest, WhatManyKeepKnowsThemInTheirOrder) {
  constexpr NodeId kCount = 1000;
  const std::unique_ptr<ResidentGraph> graph = Empty();
  ResidentLoader loader(graph.get());
  loader.PutContent(Blob(0, 0, "layer"));
  std::vector<NodeId> manifests(kCount);
  std::iota(manifests.begin(), manifests.end(), NodeId{1});
  for (const NodeId id : manifests) {
    ContentRow row = Blob(id, 0, absl::StrCat(id));
    row.kind = NodeKind::kManifest;
    row.recorded = Now() - 2 * kGrace;
    row.children = {0};
    loader.PutContent(row);
  }
  ContentRow index = Blob(kCount + 1, 0, "index");
  index.kind = NodeKind::kImageIndex;
  index.children = manifests;
  loader.PutContent(index);
  loader.IndexDigests();
  loader.LinkKeepers();
  loader.Finish(LinkLoader());
  std::vector<NodeId> keepers;
  graph->ForEachKeeper(0, [&](NodeId keeper) {
    keepers.push_back(keeper);
    return true;
  });
  EXPECT_EQ(keepers, manifests);
  EXPECT_EQ(graph->ReferenceCount(0), kCount + 1) << "and it is young";
  EXPECT_TRUE(graph->IsLiveWithoutTags(kCount));
}

}  // namespace
}  // namespace reclaim::index

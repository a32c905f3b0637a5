#include "index/resident_graph.h"

#include <random>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/recount.h"
#include "oci/digest.h"
#include "tests/support/graph_text.h"
#include "tests/support/seed.h"

namespace reclaim::index {
namespace {

using tests::TextGraph;

// The counters and their twin agree.
void ExpectExact(TextGraph* g, absl::Duration grace = absl::ZeroDuration()) {
  RecountInputs inputs;
  inputs.store = 0;
  inputs.now = g->graph().now();
  inputs.grace_period = grace;
  const StoreTotals recounted = Recount(g->view(), inputs);
  ASSERT_EQ(g->graph().totals(0), recounted)
      << "counted\n"
      << ToString(g->graph().totals(0)) << "recounted\n"
      << ToString(recounted);
}

// What a walk is told at once is what it would be told piece by piece.
void ExpectSameEdges(const ResidentGraph& graph) {
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    const NodeEdges edges = graph.Edges(id);
    const NodeEdges pieces = graph.GraphView::Edges(id);
    ASSERT_EQ(edges.kept, pieces.kept) << id;
    ASSERT_EQ(edges.referrers, pieces.referrers) << id;
    ASSERT_EQ(edges.extent, pieces.extent) << id;
    ASSERT_EQ(edges.is_flat, pieces.is_flat) << id;
    const bool has_edges = !edges.kept.empty() || !edges.referrers.empty() ||
                           edges.extent != kNoNode;
    if (graph.Exists(id)) {
      ASSERT_EQ(graph.HasEdges(id), has_edges) << id;
    }
  }
}

bool Live(TextGraph* g, const std::string& name) {
  return g->graph().IsLive(g->Id(name));
}

TEST(ResidentGraphTest, ATagKeepsWhatItsManifestReferences) {
  TextGraph g("M1(c1:10 l1:100); app:v1=M1; M2(c2:10 l1 l2:7)");
  EXPECT_TRUE(Live(&g, "l1"));
  EXPECT_FALSE(Live(&g, "M2"));
  EXPECT_FALSE(Live(&g, "l2"));
  EXPECT_EQ(g.graph().totals(0).live.bytes.logical_bytes, 115u);
  EXPECT_EQ(g.graph().totals(0).candidate.bytes.logical_bytes, 22u);
  EXPECT_EQ(g.graph().totals(0).image_count, 2u);
  EXPECT_EQ(g.graph().totals(0).dangling_image_count, 1u);
  ExpectExact(&g);
  g.graph().RemoveNamed(g.Id("app:v1"));
  EXPECT_FALSE(Live(&g, "l1"));
  ExpectExact(&g);
}

TEST(ResidentGraphTest, AnIndexKeepsItsPlatformsAndHidesThemAsImages) {
  TextGraph g("M1(c1 l1); M2(c2 l1); I1[M1 M2]; app:v1=I1; container/w=M1");
  EXPECT_TRUE(Live(&g, "M2"));
  EXPECT_EQ(g.graph().totals(0).image_count, 1u);
  EXPECT_EQ(g.graph().totals(0).active_image_count, 1u);
  ExpectExact(&g);
  g.graph().RemoveNamed(g.Id("container/w"));
  EXPECT_EQ(g.graph().totals(0).active_image_count, 0u);
  ExpectExact(&g);
}

TEST(ResidentGraphTest, AReferrerLivesWithItsSubject) {
  TextGraph g("M1(c1 l1); S1(c9 l9)^M1; app:v1=M1");
  EXPECT_TRUE(Live(&g, "l9"));
  EXPECT_EQ(g.graph().totals(0).image_count, 1u);
  g.graph().RemoveNamed(g.Id("app:v1"));
  EXPECT_FALSE(Live(&g, "S1"));
  ExpectExact(&g);
}

TEST(ResidentGraphTest, ACycleThroughAReferrerDiesWithItsLastRoot) {
  TextGraph g("M1(c1 l1); I1[M1]^M1; app:v1=M1; old:v1=I1");
  EXPECT_TRUE(Live(&g, "I1"));
  g.graph().RemoveNamed(g.Id("app:v1"));
  EXPECT_TRUE(Live(&g, "M1"));
  g.graph().RemoveNamed(g.Id("old:v1"));
  EXPECT_FALSE(Live(&g, "M1"));
  EXPECT_FALSE(Live(&g, "I1"));
  EXPECT_FALSE(Live(&g, "l1"));
  ExpectExact(&g);
}

TEST(ResidentGraphTest, ChildrenMayArriveBeforeAndAfterTheirManifest) {
  TextGraph g("M1(c1 l1); app:v1=M1; !l1");
  EXPECT_EQ(g.graph().totals(0).absent.count, 1u);
  EXPECT_TRUE(Live(&g, "l1"));
  g.Add("l2:50");
  EXPECT_EQ(g.graph().totals(0).loose.bytes.logical_bytes, 50u);
  ExpectExact(&g);
}

TEST(ResidentGraphTest, AFlatLeaseKeepsItsTargetAlone) {
  TextGraph g("M1(c1 l1); flat/f=M1; M2(c2 l2); lease/l=M2");
  EXPECT_TRUE(Live(&g, "M1"));
  EXPECT_FALSE(Live(&g, "l1"));
  EXPECT_TRUE(Live(&g, "l2"));
  ExpectExact(&g);
  g.graph().RemoveNamed(g.Id("flat/f"));
  EXPECT_FALSE(Live(&g, "M1"));
  ExpectExact(&g);
}

// Of the same targets, of others, and back.
TEST(ResidentGraphTest, ALeaseTurnsFlatAndBack) {
  TextGraph g("M1(c1 l1); M2(c2 l2); snapshot/s=M2; lease/l=M1 snapshot/s");
  NamedRow& lease = g.named("lease/l");
  const auto turn = [&](bool is_flat, std::vector<NodeId> targets) {
    lease.flags = static_cast<uint16_t>(is_flat ? lease.flags | kFlat
                                                : lease.flags & ~kFlat);
    lease.targets = std::move(targets);
    g.PutNamed(lease);
    ExpectExact(&g);
  };
  const std::vector<NodeId> both = lease.targets;
  turn(true, both);
  EXPECT_TRUE(Live(&g, "M1"));
  EXPECT_FALSE(Live(&g, "l1"));
  EXPECT_TRUE(Live(&g, "l2")) << "of a snapshot";
  turn(false, both);
  EXPECT_TRUE(Live(&g, "l1"));
  turn(true, {g.Id("M2")});
  EXPECT_FALSE(Live(&g, "M1"));
  EXPECT_TRUE(Live(&g, "M2"));
  EXPECT_FALSE(Live(&g, "l2"));
  turn(false, {g.Id("M1")});
  EXPECT_TRUE(Live(&g, "l1"));
  g.graph().RemoveNamed(g.Id("lease/l"));
  EXPECT_FALSE(Live(&g, "M1"));
  ExpectExact(&g);
}

TEST(ResidentGraphTest, ALeaseEndsAtItsExpiry) {
  TextGraph g("M1(c1 l1); lease/l=M1");
  NamedRow& lease = g.named("lease/l");
  lease.expires = TextGraph::Now() + absl::Hours(1);
  g.PutNamed(lease);
  g.graph().AdvanceTo(TextGraph::Now() + absl::Hours(1));
  EXPECT_TRUE(Live(&g, "M1"));
  ExpectExact(&g);
  g.graph().AdvanceTo(TextGraph::Now() + absl::Hours(1) + absl::Seconds(1));
  EXPECT_FALSE(Live(&g, "M1"));
  ExpectExact(&g);
}

TEST(ResidentGraphTest, GraceKeepsYoungContentAndEnds) {
  const absl::Duration grace = absl::Hours(24);
  TextGraph g("M1(c1 l1)", grace);
  ContentRow& row = g.content("M1");
  row.recorded = TextGraph::Now() - absl::Hours(1);
  g.PutContent(row);
  EXPECT_TRUE(Live(&g, "l1"));
  ExpectExact(&g, grace);
  g.graph().AdvanceTo(TextGraph::Now() + absl::Hours(23));
  EXPECT_FALSE(Live(&g, "l1"));
  ExpectExact(&g, grace);
}

TEST(ResidentGraphTest, ASnapshotStaysWithItsImageAndBelowWhatStays) {
  TextGraph g(
      "M1(c1 l1); app:v1=M1; snapshot/base:10; snapshot/top:20=snapshot/base "
      "M1");
  const StoreTotals& totals = g.graph().totals(0);
  EXPECT_EQ(totals.unpacked_kept.count, 2u);
  EXPECT_EQ(totals.unpacked_kept.bytes.logical_bytes, 30u);
  EXPECT_EQ(totals.unpacked_without_tags.count, 0u);
  EXPECT_EQ(totals.active_unpacked_count, 0u);
  ExpectExact(&g);
  g.Add("container/w=M1");
  EXPECT_EQ(totals.unpacked_without_tags.count, 2u);
  EXPECT_EQ(totals.active_unpacked_count, 2u);
  ExpectExact(&g);
  g.graph().RemoveNamed(g.Id("container/w"));
  g.graph().RemoveNamed(g.Id("app:v1"));
  EXPECT_EQ(totals.unpacked_kept.count, 0u);
  EXPECT_EQ(totals.active_unpacked_count, 0u);
  EXPECT_FALSE(Live(&g, "M1")) << "a snapshot keeps no image";
  ExpectExact(&g);
  g.graph().RemoveNamed(g.Id("snapshot/top"));
  EXPECT_EQ(totals.unpacked_kept.bytes.logical_bytes, 10u)
      << "nothing explains the base any more";
  ExpectExact(&g);
  g.Add("snapshot/top:20=snapshot/base M1; lease/l=snapshot/base");
  EXPECT_EQ(totals.unpacked_without_tags.bytes.logical_bytes, 10u);
  ExpectExact(&g);
}

TEST(ResidentGraphTest, AYoungSnapshotStaysUntilTheGracePeriodEnds) {
  const absl::Duration grace = absl::Hours(24);
  TextGraph g("M1(c1); snapshot/s:10=M1", grace);
  NamedRow& row = g.named("snapshot/s");
  row.recorded = TextGraph::Now() - absl::Hours(1);
  g.PutNamed(row);
  EXPECT_EQ(g.graph().totals(0).unpacked_without_tags.count, 1u);
  ExpectExact(&g, grace);
  EXPECT_FALSE(g.graph().IsDue(TextGraph::Now() + absl::Hours(22)));
  EXPECT_TRUE(g.graph().IsDue(TextGraph::Now() + absl::Hours(23)));
  g.graph().AdvanceTo(TextGraph::Now() + absl::Hours(23));
  EXPECT_EQ(g.graph().totals(0).unpacked_without_tags.count, 0u);
  ExpectExact(&g, grace);
}

// As records are loaded: by id, which says nothing of what stands on what.
TEST(ResidentGraphTest, WhatASnapshotStandsOnMayBeReadAfterIt) {
  TextGraph g("M1(c1); app:v1=M1");
  NamedRow top;
  top.id = 500;
  top.key = {NodeKind::kSnapshot, 0, "", "top"};
  top.recorded = TextGraph::Recorded();
  top.bytes = {20, 20};
  top.targets = {501, g.Id("M1")};
  g.graph().PutNamed(top);
  ExpectExact(&g);
  NamedRow middle = top;
  middle.id = 501;
  middle.key.name = "middle";
  middle.targets = {502};
  g.graph().PutNamed(middle);
  ExpectExact(&g);
  NamedRow base = middle;
  base.id = 502;
  base.key.name = "base";
  base.targets = {};
  g.graph().PutNamed(base);
  EXPECT_EQ(g.graph().totals(0).unpacked_kept.count, 3u);
  ExpectExact(&g);
  // The edge to what has gone stays, and explains nothing.
  g.graph().RemoveNamed(501);
  EXPECT_EQ(g.graph().totals(0).unpacked_kept.count, 2u);
  top.targets = {501};
  g.graph().PutNamed(top);
  EXPECT_EQ(g.graph().totals(0).unpacked_kept.count, 2u);
  ExpectExact(&g);
  g.graph().RemoveNamed(g.Id("app:v1"));
  EXPECT_EQ(g.graph().totals(0).unpacked_kept.count, 2u);
  ExpectExact(&g);
}

TEST(ResidentGraphTest, AFlatLeaseThatIsReadBeforeItsSnapshotKeepsItWhole) {
  TextGraph g("M1(c1 l1); M2(c2)");
  NamedRow lease;
  lease.id = 500;
  lease.key = {NodeKind::kLease, 0, "", "l"};
  lease.flags = kFlat;
  lease.recorded = TextGraph::Recorded();
  lease.targets = {501, g.Id("M2")};
  g.graph().PutNamed(lease);
  NamedRow snapshot;
  snapshot.id = 501;
  snapshot.key = {NodeKind::kSnapshot, 0, "", "s"};
  snapshot.recorded = TextGraph::Recorded();
  snapshot.targets = {g.Id("M1")};
  g.graph().PutNamed(snapshot);
  EXPECT_TRUE(Live(&g, "l1"));
  EXPECT_TRUE(Live(&g, "M2"));
  EXPECT_FALSE(Live(&g, "c2"));
  ExpectExact(&g);
  g.graph().RemoveNamed(500);
  EXPECT_FALSE(Live(&g, "M1"));
  EXPECT_FALSE(Live(&g, "M2"));
  ExpectExact(&g);
}

TEST(ResidentGraphTest, LeasedContentCountsOnceAndTheOldestLeaseIsKnown) {
  TextGraph g("M1(c1 l1:100); lease/a=M1 l1; lease/b=l1; snapshot/s; pin/p=c1");
  const StoreTotals& totals = g.graph().totals(0);
  EXPECT_EQ(totals.leased.count, 2u);
  EXPECT_EQ(totals.leased.bytes.logical_bytes, 105u);
  EXPECT_EQ(totals.oldest_lease, TextGraph::Recorded());
  ExpectExact(&g);
  NamedRow& b = g.named("lease/b");
  b.recorded = TextGraph::Recorded() - absl::Hours(1);
  b.targets.push_back(g.Id("snapshot/s"));
  g.PutNamed(b);
  EXPECT_EQ(totals.oldest_lease, b.recorded);
  EXPECT_EQ(totals.leased.count, 2u) << "a snapshot is no content";
  ExpectExact(&g);
  g.graph().RemoveNamed(g.Id("lease/b"));
  EXPECT_EQ(totals.oldest_lease, TextGraph::Recorded());
  EXPECT_EQ(totals.leased.count, 2u);
  g.Add("!l1");
  EXPECT_EQ(totals.leased.count, 1u) << "it is not here";
  ExpectExact(&g);
  g.graph().RemoveNamed(g.Id("lease/a"));
  EXPECT_EQ(totals.oldest_lease, absl::InfiniteFuture());
  EXPECT_EQ(totals.leased, Tally());
  ExpectExact(&g);
}

TEST(ResidentGraphTest, NamesOfOneScopeAreFoundWithoutTheOthers) {
  TextGraph g("M1(c1); a:v2=M1; a:v1=M1; a-b:v1=M1; ab:v1=M1; b:v1=M1");
  const auto names = [&](NodeKind kind, const std::string& scope) {
    std::vector<std::string> found;
    g.graph().ForEachNamedIn(kind, 0, scope, [&](NodeId id) {
      found.push_back(g.Name(id));
      return true;
    });
    return found;
  };
  const std::vector<std::string> both = {"a:v1", "a:v2"};
  EXPECT_EQ(names(NodeKind::kTag, "a"), both);
  EXPECT_EQ(names(NodeKind::kTag, "b"), std::vector<std::string>{"b:v1"});
  EXPECT_TRUE(names(NodeKind::kTag, "").empty());
  EXPECT_TRUE(names(NodeKind::kTag, "nowhere").empty());
  EXPECT_TRUE(names(NodeKind::kUpload, "a").empty());
  g.graph().RemoveNamed(g.Id("a:v1"));
  EXPECT_EQ(names(NodeKind::kTag, "a"), std::vector<std::string>{"a:v2"});
}

TEST(ResidentGraphTest, OneOpaqueManifestKeepsItsWholePlace) {
  TextGraph g("M1(c1 l1); x:9; ?M1");
  EXPECT_TRUE(Live(&g, "x"));
  ExpectExact(&g);
}

TEST(ResidentGraphTest, HardLinkedBytesCountOnceAndGoWithTheLastName) {
  TextGraph g("M1(c1 l1); app:v1=M1; M2(c2 l2)");
  ContentRow extent;
  extent.id = g.view().node_count();
  extent.kind = NodeKind::kExtent;
  extent.bytes = {500, 512};
  g.PutContent(extent);
  for (const char* name : {"l1", "l2"}) {
    ContentRow& row = g.content(name);
    row.bytes = {};
    row.extent = extent.id;
    g.PutContent(row);
  }
  EXPECT_EQ(g.graph().totals(0).live.bytes.logical_bytes, 5u + 1u + 500u);
  EXPECT_EQ(g.graph().totals(0).live.count, 3u) << "the file is no fourth";
  EXPECT_EQ(g.graph().totals(0).live.count, 3u) << "the file is no fourth";
  ExpectExact(&g);
  g.graph().RemoveNamed(g.Id("app:v1"));
  EXPECT_EQ(g.graph().totals(0).live.bytes.logical_bytes, 0u);
  ExpectExact(&g);
  for (const char* name : {"l1", "l2"}) {
    ContentRow& row = g.content(name);
    row.state = NodeState::kAbsent;
    g.PutContent(row);
    ExpectExact(&g);
  }
  EXPECT_EQ(g.graph().totals(0).candidate.bytes.logical_bytes, 12u);
}

// A name that is none of the store's keeps the bytes on the disk.
TEST(ResidentGraphTest, ANameElsewhereKeepsTheBytesOfItsFileAlone) {
  TextGraph g("M1(c1 l1)");
  ContentRow extent;
  extent.id = g.view().node_count();
  extent.kind = NodeKind::kExtent;
  extent.bytes = {500, 512};
  extent.link_count = 2;
  g.PutContent(extent);
  ContentRow& row = g.content("l1");
  row.bytes = {};
  row.extent = extent.id;
  g.PutContent(row);
  EXPECT_TRUE(g.view().IsLinkedElsewhere(extent.id));
  EXPECT_FALSE(Live(&g, "l1"));
  EXPECT_EQ(g.graph().totals(0).live.bytes.logical_bytes, 500u);
  EXPECT_EQ(g.graph().totals(0).candidate.bytes.logical_bytes, 6u);
  EXPECT_EQ(g.graph().totals(0).loose_live.bytes.logical_bytes, 0u);
  EXPECT_EQ(g.graph().totals(0).imaged_live.bytes.logical_bytes, 500u);
  ExpectExact(&g);
  row.state = NodeState::kQuarantined;
  g.PutContent(row);
  EXPECT_EQ(g.graph().totals(0).quarantined_held.bytes.logical_bytes, 500u);
  ExpectExact(&g);
  extent.link_count = 1;
  g.PutContent(extent);
  EXPECT_EQ(g.graph().totals(0).quarantined_held, Tally());
  EXPECT_EQ(g.graph().totals(0).quarantined.bytes.logical_bytes, 500u);
  ExpectExact(&g);
}

// As the collector reaches it: the bytes go with the last of their names.
TEST(ResidentGraphTest, AFlatLeaseKeepsTheBytesOfAFileWithSeveralNames) {
  TextGraph g("l1; l2; M1(c1 l1); flat/f=l1");
  ContentRow extent;
  extent.id = g.view().node_count();
  extent.kind = NodeKind::kExtent;
  extent.bytes = {500, 512};
  g.PutContent(extent);
  const auto link = [&](const char* name, NodeId to) {
    ContentRow& row = g.content(name);
    row.bytes = {};
    row.extent = to;
    g.PutContent(row);
    ExpectExact(&g);
  };
  const auto live = [&] {
    return g.graph().totals(0).live.bytes.logical_bytes;
  };
  link("l1", extent.id);
  link("l2", extent.id);
  EXPECT_EQ(live(), 500u);
  link("l1", kNoNode);
  EXPECT_EQ(live(), 0u) << "the other name is nobody's";
  link("l1", extent.id);
  EXPECT_EQ(live(), 500u);
  g.graph().RemoveNamed(g.Id("flat/f"));
  ExpectExact(&g);
  EXPECT_EQ(live(), 0u);
  g.Add("flat/f=l1");
  ExpectExact(&g);
  EXPECT_EQ(live(), 500u);
}

// Also what does not fit into a packed node.
TEST(ResidentGraphTest, ARowIsToldAsItWasPut) {
  TextGraph g("M1(c1 l1)");
  const store::Bytes sizes[] = {
      {0, 0},          {5, 5},
      {5, 4096},       {4096, 4096},
      {5, 0},          {7, 1234},
      {1, 1u << 31},   {(uint64_t{1} << 38) - 1, 0},
      {1ull << 38, 0}, {~uint64_t{0}, ~uint64_t{0} - 9}};
  const absl::Time times[] = {
      TextGraph::Now(), absl::UnixEpoch(), absl::FromUnixMicros(-1),
      TextGraph::Now() + absl::Microseconds(1), absl::InfinitePast()};
  for (const store::Bytes& bytes : sizes) {
    for (const absl::Time time : times) {
      ContentRow& row = g.content("l1");
      row.bytes = bytes;
      row.recorded = time;
      row.used = time;
      row.flags = kUnknownSize | kReferrer;
      row.stamp = 4000000000;
      g.PutContent(row);
      const NodeFields fields = g.view().fields(g.Id("l1"));
      EXPECT_EQ(fields.bytes, bytes) << bytes.logical_bytes;
      EXPECT_EQ(fields.recorded, time);
      EXPECT_EQ(fields.used, time);
      EXPECT_EQ(fields.flags, row.flags);
      EXPECT_EQ(fields.stamp, row.stamp);
      EXPECT_EQ(fields.expires, absl::InfiniteFuture());
      ExpectExact(&g);
    }
  }
}

TEST(ResidentGraphTest, FindsContentByDigestsOfBothLengths) {
  ResidentGraph graph(absl::ZeroDuration(), nullptr);
  graph.PutStore(0, "s");
  const std::string bytes(64, 'x');
  std::vector<ContentRow> rows(4);
  for (NodeId id = 0; id < rows.size(); ++id) {
    // Two of SHA-512 that differ in the last byte alone, one of SHA-256 with
    // the same beginning, and that one in another place.
    std::string text = bytes;
    if (id == 1) text.back() = 'y';
    const bool is_long = id < 2;
    rows[id].id = id;
    rows[id].key.place = id == 3 ? 1 : 0;
    rows[id].key.digest = *oci::Digest::FromBytes(
        is_long ? oci::DigestAlgorithm::kSha512 : oci::DigestAlgorithm::kSha256,
        is_long ? text : text.substr(0, 32));
    graph.PutContent(rows[id]);
  }
  for (const ContentRow& row : rows) {
    EXPECT_EQ(graph.FindContent(row.key.place, row.key.digest), row.id);
    EXPECT_EQ(graph.digest(row.id), row.key.digest);
  }
  EXPECT_EQ(graph.FindContent(1, rows[0].key.digest), kNoNode);
}

TEST(ResidentGraphTest, InARegistryDoubtIsOfTheRepositoriesThatNameAManifest) {
  TextGraph g("");
  g.DoubtByRepository();
  g.Add(
      "M1(c1 l1); +a=M1; +a~c1; +a~l1; M2(c2 l2); +b=M2; +b~c2; +b~l2; loose; "
      "+a=M9");
  g.Add("?M9");
  ExpectExact(&g);
  for (const char* kept : {"M1", "c1", "l1", "M9", "loose"}) {
    EXPECT_TRUE(Live(&g, kept)) << kept;
  }
  for (const char* dead : {"M2", "c2", "l2"}) EXPECT_FALSE(Live(&g, dead));
  EXPECT_TRUE(g.view().IsRepositoryInDoubt(g.Id("repository/a")));
  EXPECT_FALSE(g.view().IsRepositoryInDoubt(g.Id("repository/b")));
  EXPECT_FALSE(g.view().IsWholeInDoubt(0));
  // A tag alone names it as well.
  g.Add("b:v1=M9");
  EXPECT_TRUE(Live(&g, "l2"));
  g.graph().RemoveNamed(g.Id("b:v1"));
  EXPECT_FALSE(Live(&g, "l2"));
  // Nothing names it: nobody can ask for what it references.
  g.graph().RemoveMembership(g.Id("repository/a"), g.Id("M9"),
                             store::MembershipKind::kRevision);
  EXPECT_FALSE(Live(&g, "l1"));
  EXPECT_FALSE(Live(&g, "loose"));
  EXPECT_TRUE(Live(&g, "M9"));
  EXPECT_FALSE(g.view().HasDoubt(0));
  // What names it is in no repository: anything may be meant.
  g.Add("pin/p=M9");
  EXPECT_TRUE(g.view().IsWholeInDoubt(0));
  EXPECT_TRUE(Live(&g, "l2"));
  // It is pushed again.
  g.graph().RemoveNamed(g.Id("pin/p"));
  g.Add("+a=M9");
  EXPECT_TRUE(Live(&g, "l1"));
  ContentRow& row = g.content("M9");
  row.flags = 0;
  g.PutContent(row);
  EXPECT_FALSE(Live(&g, "l1"));
  EXPECT_FALSE(g.view().HasDoubt(0));
  ExpectExact(&g);
}

TEST(ResidentGraphTest, ForgettingAStoreLeavesNothing) {
  TextGraph g("M1(c1 l1); S1(c9)^M1; app:v1=M1; +app=M1; container/w=M1");
  g.graph().RemoveStore(0);
  for (NodeId id = 0; id < g.view().node_count(); ++id) {
    EXPECT_FALSE(g.view().Exists(id)) << g.Name(id);
  }
  EXPECT_EQ(g.graph().FindStore("s"), kNoStore);
}

// Random graphs, random changes: the counters never drift from their twin (I6).
class RandomChanges {
 public:
  static constexpr absl::Duration kGrace = absl::Hours(24);

  RandomChanges(uint64_t seed, DoubtUnit unit) : random_(seed), g_("", kGrace) {
    if (unit == DoubtUnit::kRepository) g_.DoubtByRepository();
  }

  void Step() {
    const int n = 12;
    switch (Below(19)) {
      case 0:
      case 1:
        PutManifest(absl::StrCat("M", Below(n)));
        break;
      case 2:
        PutIndex(absl::StrCat("I", Below(4)));
        break;
      case 3:
      case 4:
        g_.Add(absl::StrCat("r", Below(3), ":v", Below(4), "=", Any()));
        break;
      case 5:
        RemoveOne(absl::StrCat("r", Below(3), ":v", Below(4)));
        break;
      case 6:
        g_.Add(absl::StrCat(Below(2) ? "container/" : "running/", "w", Below(3),
                            "=", Any()));
        break;
      case 7:
        RemoveOne(
            absl::StrCat(Below(2) ? "container/" : "running/", "w", Below(3)));
        break;
      case 8:
        g_.Add(absl::StrCat(Below(2) ? "flat/f" : "lease/l", Below(2), "=",
                            Any(), " ", Any()));
        TurnLease(absl::StrCat("lease/l", Below(2)));
        break;
      case 9:
        ChangeState(Any());
        break;
      case 10:
        LinkOrUnlink();
        break;
      case 11:
        ChangeDoubt();
        break;
      case 12:
        ComeOrGo(absl::StrCat("repository/r", Below(3)));
        break;
      case 13:
        ChangeExtent(Any());
        break;
      case 14:
      case 15:
        PutSnapshot();
        break;
      case 16:
        RemoveOne(absl::StrCat("snapshot/s", Below(6)));
        break;
      case 17:
        HoldSnapshot();
        break;
      case 18:
        g_.graph().AdvanceTo(g_.graph().now() + absl::Hours(Below(6)));
        break;
    }
  }

  TextGraph& graph() { return g_; }

 private:
  uint32_t Below(uint32_t n) { return random_() % n; }
  std::string Any() {
    return Below(3) == 0 ? absl::StrCat("I", Below(4))
                         : absl::StrCat("M", Below(12));
  }
  bool HasEdges(const std::string& name) {
    return !g_.content(name).children.empty();
  }
  // Manifests never change once they are known.
  void PutManifest(const std::string& name) {
    if (HasEdges(name)) return;
    std::string text = absl::StrCat(name, "(c", Below(9), " l", Below(9));
    if (Below(2)) absl::StrAppend(&text, " x", Below(5));
    absl::StrAppend(&text, ")");
    if (Below(4) == 0) absl::StrAppend(&text, "^", Any());
    g_.Add(text);
  }
  void PutIndex(const std::string& name) {
    if (HasEdges(name)) return;
    std::string text = absl::StrCat(name, "[M", Below(6), " M", 6 + Below(6));
    if (Below(3) == 0) absl::StrAppend(&text, " I", 4 + Below(2));
    absl::StrAppend(&text, "]");
    if (Below(3) == 0) absl::StrAppend(&text, "^", Any());
    g_.Add(text);
  }
  void RemoveOne(const std::string& name) {
    for (NodeId id = 0; id < g_.view().node_count(); ++id) {
      if (g_.Name(id) == name) g_.graph().RemoveNamed(id);
    }
  }
  // On any others, itself among them, of none, one or two images or configs.
  void PutSnapshot() {
    const std::string name = absl::StrCat("snapshot/s", Below(6));
    std::string text = absl::StrCat(name, ":", Below(100), "=");
    const std::string parent = absl::StrCat("snapshot/s", Below(6));
    if (Below(3) != 0 && IsThere(parent)) absl::StrAppend(&text, parent, " ");
    if (Below(2) != 0) absl::StrAppend(&text, Any());
    if (Below(3) == 0) absl::StrAppend(&text, " c", Below(9));
    g_.Add(text);
    NamedRow& row = g_.named(name);
    if (Below(2) != 0) {
      row.recorded = g_.graph().now() - absl::Hours(Below(48));
    }
    if (Below(4) == 0) row.flags ^= kUnknownSize;
    g_.PutNamed(row);
  }
  void HoldSnapshot() {
    const std::string name = absl::StrCat("snapshot/s", Below(6));
    if (!IsThere(name)) return;
    const char* const kinds[] = {"container/w", "lease/l", "flat/f", "pin/p"};
    g_.Add(absl::StrCat(kinds[Below(4)], Below(2), "=", name));
  }
  bool IsThere(const std::string& name) {
    for (NodeId id = 0; id < g_.view().node_count(); ++id) {
      if (g_.Name(id) == name) return g_.view().Exists(id);
    }
    return false;
  }
  // Flat if it was not, of what it keeps.
  void TurnLease(const std::string& name) {
    if (!IsThere(name) || Below(2) != 0) return;
    NamedRow& lease = g_.named(name);
    lease.flags = static_cast<uint16_t>(lease.flags ^ kFlat);
    g_.PutNamed(lease);
  }
  // A repository with its links; its tags stay, as for a moment in a scan.
  void ComeOrGo(const std::string& name) {
    if (IsThere(name)) {
      g_.graph().RemoveNamed(g_.Id(name));
    } else if (Below(2) != 0) {
      g_.Add("+" + name.substr(name.find('/') + 1));
      g_.PutNamed(g_.named(name));
    }
  }
  void LinkOrUnlink() {
    const std::string name = absl::StrCat("r", Below(3));
    if (!IsThere("repository/" + name)) return;
    const bool is_layer = Below(2) != 0;
    const std::string content = is_layer ? absl::StrCat("l", Below(9)) : Any();
    if (Below(3) != 0) {
      g_.Add(absl::StrCat("+", name, is_layer ? "~" : "=", content));
    } else if (IsThere(content)) {
      g_.graph().RemoveMembership(g_.Id("repository/" + name), g_.Id(content),
                                  is_layer ? store::MembershipKind::kLayer
                                           : store::MembershipKind::kRevision);
    }
  }
  void ChangeDoubt() {
    ContentRow& row = g_.content(Any());
    const bool is_opaque = (row.flags & kOpaque) != 0;
    if (!is_opaque && Below(2) != 0) return;
    row.flags ^= kOpaque;
    g_.PutContent(row);
  }
  void ChangeExtent(const std::string& name) {
    ContentRow extent;
    extent.id = 1000 + Below(2);
    extent.kind = NodeKind::kExtent;
    extent.bytes = {500, 4096};
    extent.link_count = Below(5);
    g_.graph().PutContent(extent);
    ContentRow& row = g_.content(name);
    row.extent = row.extent == kNoNode ? extent.id : kNoNode;
    row.bytes = row.extent == kNoNode ? store::Bytes{5, 4096} : store::Bytes{};
    g_.PutContent(row);
  }
  void ChangeState(const std::string& name) {
    ContentRow& row = g_.content(name);
    row.state = static_cast<NodeState>(Below(3));
    g_.PutContent(row);
  }

  std::mt19937_64 random_;
  TextGraph g_;
};

// Nodes share what is said of store, place and stamp, and share it with others
// after each stamp.
TEST(ResidentGraphPropertyTest, EachNodeHasTheStampThatItWasGiven) {
  std::mt19937_64 random(tests::AskSeed());
  TextGraph g("M1(c1 l1 l2); M2(c2 l1); app:v1=M1; web:v2=M2");
  g.graph().PutPlace(1, 0, "other");
  ContentRow row;
  row.id = 500;
  row.key = {1, TextGraph::DigestOf("elsewhere")};
  row.recorded = TextGraph::Recorded();
  g.graph().PutContent(row);
  const NodeId count = g.graph().node_count();
  std::vector<Epoch> stamps(count, 0);
  for (Epoch epoch = 1; epoch < 20'000; ++epoch) {
    const auto id = static_cast<NodeId>(random() % count);
    // Now and then an old one.
    const Epoch stamp =
        random() % 5 == 0 ? static_cast<Epoch>(random() % epoch) : epoch;
    g.graph().SetStamp(id, stamp);
    stamps[id] = stamp;
    if (epoch % 100 != 0) continue;
    for (NodeId each = 0; each < count; ++each) {
      const NodeFields fields = g.view().fields(each);
      ASSERT_EQ(fields.stamp, stamps[each]) << epoch << ": " << each;
      ASSERT_EQ(fields.store, 0) << each;
    }
    ASSERT_EQ(g.view().fields(500).place, 1u);
    ASSERT_EQ(g.view().fields(g.Id("l1")).place, 0u);
  }
  EXPECT_EQ(g.view().FindContent(1, TextGraph::DigestOf("elsewhere")), 500u);
  ExpectExact(&g);
}

// A sanitizer looks at the same code in each of them, ten times as long.
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
constexpr uint64_t kRoundCount = 40;
#else
constexpr uint64_t kRoundCount = 200;
#endif

TEST(ResidentGraphPropertyTest, CountersAgreeWithTheRecountAfterEachChange) {
  const uint64_t seed = tests::AskSeed();
  for (uint64_t round = 0; round < kRoundCount; ++round) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " round ", round));
    RandomChanges changes(seed + round, round % 2 == 0
                                            ? DoubtUnit::kPlace
                                            : DoubtUnit::kRepository);
    for (int step = 0; step < 150; ++step) {
      SCOPED_TRACE(absl::StrCat("step ", step));
      changes.Step();
      ExpectExact(&changes.graph(), RandomChanges::kGrace);
      ExpectSameEdges(changes.graph().graph());
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace reclaim::index

// gc::MakePlan() against its naive twin, for every verb: over containers,
// volumes, networks, build cache, snapshots and images in one store, with pins
// and leases on them, filters of every clock and of labels, names that
// containers wrote, scopes that could not be read, doubts and a second place;
// in a tree of files, an image layout and an engine.  Each request of a table
// on each of a family of small stores, then random requests on random stores.
//
// RECLAIM_SEED repeats a run.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gc/filter.h"
#include "gc/prune_request.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/resident_graph.h"
#include "tests/model/plan_agreement.h"
#include "tests/support/graph_text.h"
#include "tests/support/naive_collector.h"
#include "tests/support/random_graph.h"
#include "tests/support/seed.h"
#include "tests/support/text_details.h"

namespace reclaim::tests {
namespace {

using gc::PruneVerb;
using gc::TimeClock;
using index::NodeId;
using index::NodeKind;

constexpr absl::Duration kGrace = absl::Hours(24);
constexpr int kRandomStoreCount = 1500;
constexpr int kRequestsPerStore = 2;

absl::Time HoursAgo(int64_t hours) {
  return TextGraph::Now() - absl::Hours(hours);
}

// Every verb, each with its flags.
std::vector<gc::PruneRequest> AllVerbs() {
  std::vector<gc::PruneRequest> all;
  const auto add = [&](PruneVerb verb) -> gc::PruneRequest& {
    gc::PruneRequest request;
    request.verb = verb;
    request.policy.grace_period = absl::ZeroDuration();
    all.push_back(request);
    return all.back();
  };
  add(PruneVerb::kContainers);
  add(PruneVerb::kNetworks);
  add(PruneVerb::kVolumes);
  add(PruneVerb::kVolumes).all_volumes = true;
  add(PruneVerb::kVolumes).filter.all = true;
  add(PruneVerb::kBuildCache);
  add(PruneVerb::kBuildCache).all_cache = true;
  add(PruneVerb::kImages);
  add(PruneVerb::kImages).filter.dangling = false;
  add(PruneVerb::kAllImages);
  for (const bool with_volumes : {false, true}) {
    for (const bool all_images : {false, true}) {
      gc::PruneRequest& system = add(PruneVerb::kSystem);
      system.with_volumes = with_volumes;
      system.all_images = all_images;
    }
  }
  return all;
}

// The table of docs/FILTERS.md.
std::set<TimeClock> ClocksOf(const gc::PruneRequest& request) {
  const std::set<TimeClock> all = {TimeClock::kRecorded, TimeClock::kCreated,
                                   TimeClock::kPushed,   TimeClock::kPulled,
                                   TimeClock::kUsed,     TimeClock::kUntagged,
                                   TimeClock::kExited};
  switch (request.verb) {
    case PruneVerb::kContainers:
      return {TimeClock::kRecorded, TimeClock::kCreated, TimeClock::kExited};
    case PruneVerb::kVolumes:
      return {};
    case PruneVerb::kNetworks:
      return {TimeClock::kRecorded, TimeClock::kCreated};
    case PruneVerb::kBuildCache:
      return {TimeClock::kRecorded, TimeClock::kUsed};
    case PruneVerb::kSystem:
      return request.with_volumes ? std::set<TimeClock>() : all;
    default:
      return {TimeClock::kRecorded, TimeClock::kCreated, TimeClock::kPushed,
              TimeClock::kPulled,   TimeClock::kUsed,    TimeClock::kUntagged};
  }
}

bool MayCarry(const gc::PruneRequest& request, const gc::Filter& filter) {
  const bool has_labels = request.verb != PruneVerb::kBuildCache;
  if (!has_labels && !filter.labels.empty()) return false;
  const std::set<TimeClock> clocks = ClocksOf(request);
  return std::all_of(
      filter.times.begin(), filter.times.end(),
      [&](const gc::TimeTest& test) { return clocks.count(test.clock) > 0; });
}

gc::LabelTest Label(const std::string& key, const std::string& value,
                    bool is_negative) {
  gc::LabelTest test;
  test.key = key;
  if (!value.empty()) test.value = value;
  test.is_negative = is_negative;
  return test;
}

// Each kind of label test, and each clock.
std::vector<gc::Filter> SmallFilters() {
  std::vector<gc::Filter> filters;
  for (const bool is_negative : {false, true}) {
    for (const char* const value : {"", "1"}) {
      filters.emplace_back();
      filters.back().labels = {Label("k", value, is_negative)};
    }
  }
  filters.emplace_back();
  filters.back().labels = {Label("k", "", false), Label("q", "1", true)};
  gc::PruneRequest system;
  system.verb = PruneVerb::kSystem;
  for (const TimeClock clock : ClocksOf(system)) {
    filters.emplace_back();
    filters.back().times = {{clock, HoursAgo(500)}};
  }
  return filters;
}

std::string TextOf(const NaiveWorld& world, const gc::PruneRequest& request) {
  std::string text = ToString(request.verb);
  if (request.all_images || request.all_volumes || request.all_cache) {
    absl::StrAppend(&text, " -a");
  }
  if (request.with_volumes) absl::StrAppend(&text, " --volumes");
  if (request.filter.dangling) absl::StrAppend(&text, " dangling=false");
  if (request.filter.all) absl::StrAppend(&text, " all=true");
  for (const gc::LabelTest& test : request.filter.labels) {
    absl::StrAppend(&text, " label", test.is_negative ? "!=" : "=", test.key,
                    "=", test.value.value_or("*"));
  }
  for (const gc::TimeTest& test : request.filter.times) {
    absl::StrAppend(&text, " until.", ToString(test.clock), "=",
                    absl::FormatDuration(TextGraph::Now() - test.before));
  }
  for (const std::string& scope : world.unreadable_scopes) {
    absl::StrAppend(&text, ", unreadable \"", scope, "\"");
  }
  if (world.store_holds_records) absl::StrAppend(&text, ", engine");
  if (world.tags_leave_entries) absl::StrAppend(&text, ", layout");
  return text;
}

// That something was asked at all.
struct Met {
  int plan_count = 0;
  int record_count = 0;
  int tag_count = 0;
  int content_count = 0;
  int link_count = 0;
  int cached_count = 0;

  void Count(const NaivePlan& plan) {
    ++plan_count;
    record_count += plan.records.empty() ? 0 : 1;
    tag_count += plan.tags.empty() ? 0 : 1;
    content_count += plan.content.empty() ? 0 : 1;
    link_count += plan.links.empty() ? 0 : 1;
    cached_count += plan.cached_count == 0 ? 0 : 1;
  }
};

// One of everything, and what holds it.
struct SmallStore {
  std::string holder;
  bool is_over = false;  // the lease has ended
  int variant = 0;       // 0 to kVariantCount - 1
  std::string doubt;     // "" or an opaque manifest
  bool is_registry = false;
};
constexpr int kVariantCount = 4;

class SmallWorld {
 public:
  explicit SmallWorld(const SmallStore& store) {
    if (store.is_registry) g_.DoubtByRepository();
    g_.Add(
        "M1(c1 l1:10); M2(c2 l1 l2:20); I1[M2]; M3(c3 l4:9); snapshot/s:7=M1; "
        "snapshot/t:8=snapshot/s; network/n; volume/v:5; cache/a:3=l2 l3; "
        "cache/b:4=cache/a; a:v1=M1; a:v2=M1; b:v1=I1; +a=M1; +a~l1; +b=M3; "
        "upload/a/u:6");
    g_.Add(absl::StrCat(store.variant == 1 ? "running" : "container",
                        "/w:2=M1 snapshot/t network/n volume/v"));
    if (!store.holder.empty()) g_.Add(store.holder);
    if (!store.doubt.empty()) g_.Add("?" + store.doubt);
    g_.InPlace(1, "other");
    g_.Add("N1(d1 k1:3); z:v1=N1; N2(d2)");
    if (store.is_over) {
      index::NamedRow& lease = g_.named("lease/l");
      lease.expires = TextGraph::Now() - absl::Seconds(1);
      g_.PutNamed(lease);
    }
    Describe();
    Vary(store.variant);
    g_.graph().RestoreUnreferenced(g_.Id("M3"), HoursAgo(600));
    world.graph = &g_;
    world.details = &details_;
  }

  NaiveWorld world;

 private:
  // Of each clock some are older than 500 hours, and some are not.
  void Describe() {
    for (const char* const name : {"container/w", "running/w"}) {
      details_.labels[name] = {{"k", "1"}};
      details_.created[name] = HoursAgo(400);
      details_.exited[name] = HoursAgo(800);
    }
    details_.labels["network/n"] = {{"k", "2"}};
    details_.labels["volume/v"] = {{"k", "1"}, {"q", "1"}};
    details_.labels["c1"] = {{"k", "1"}};
    details_.labels["c3"] = {{"k", "2"}, {"q", "2"}};
    details_.created["network/n"] = HoursAgo(900);
    details_.created["c3"] = HoursAgo(900);
    details_.without_config.insert("c2");
    index::ContentRow& used = g_.content("M3");
    used.used = HoursAgo(700);
    g_.PutContent(used);
    index::ContentRow& young = g_.content("l4");
    young.recorded = HoursAgo(300);
    g_.PutContent(young);
    index::NamedRow& tag = g_.named("a:v2");
    tag.recorded = HoursAgo(100);
    g_.PutNamed(tag);
    index::NamedRow& cache = g_.named("cache/b");
    cache.used = HoursAgo(700);
    g_.PutNamed(cache);
  }
  void Flag(const std::string& name, index::NodeFlag flag) {
    index::NamedRow& row = g_.named(name);
    row.flags |= flag;
    g_.PutNamed(row);
  }
  void Vary(int variant) {
    if (variant == 2) {
      Flag("network/n", index::kPredefined);
      Flag("cache/b", index::kShared);
      details_.written["container/w"] = "docker.io/library/a:v1";
      return;
    }
    Flag("volume/v", index::kAnonymous);
    if (variant != 3) return;
    Flag("cache/b", index::kInUse);
    details_.written["container/w"] = "a:v1@" + g_.DigestOf("M1").ToString();
  }

  TextGraph g_{""};
  TextDetails details_{&g_};
};

std::vector<SmallStore> SmallStores() {
  std::vector<SmallStore> stores;
  for (int variant = 0; variant < kVariantCount; ++variant) {
    const std::string user = variant == 1 ? "running/w" : "container/w";
    const std::vector<SmallStore> held = {{""},
                                          {"pin/p=" + user},
                                          {"lease/l=" + user},
                                          {"lease/l=" + user, true},
                                          {"lease/l=volume/v network/n"},
                                          {"flat/f=cache/b"},
                                          {"pin/p=snapshot/s"},
                                          {"lease/l=b:v1 cache/a"},
                                          {"", false, 0, "M3"},
                                          {"flat/f=M2", false, 0, "M3", true}};
    for (const SmallStore& store : held) {
      stores.push_back(store);
      stores.back().variant = variant;
    }
  }
  return stores;
}

// What is unreadable, and of which kind the store is.
std::vector<NaiveWorld> SmallTrees(const NaiveWorld& world) {
  const std::vector<std::vector<std::string>> all = {
      {}, {""}, {"a"}, {"nowhere"}, {"other"}};
  std::vector<NaiveWorld> trees;
  for (const auto& scopes : all) {
    trees.push_back(world);
    trees.back().unreadable_scopes = scopes;
  }
  for (const auto& scopes : {all[0], all[1], all[2]}) {
    trees.push_back(world);
    trees.back().unreadable_scopes = scopes;
    trees.back().store_holds_records = true;
  }
  trees.push_back(world);
  trees.back().tags_leave_entries = true;
  return trees;
}

TEST(VerbModelTest, AgreesOnEverySmallStore) {
  const std::vector<gc::PruneRequest> verbs = AllVerbs();
  const std::vector<gc::Filter> filters = SmallFilters();
  Met met;
  NaivePlan plan;
  for (const SmallStore& store : SmallStores()) {
    SCOPED_TRACE(absl::StrCat("variant ", store.variant, " ", store.holder,
                              store.is_over ? " is over" : "", " ?",
                              store.doubt));
    const SmallWorld small(store);
    for (const gc::PruneRequest& verb : verbs) {
      for (const NaiveWorld& tree : SmallTrees(small.world)) {
        SCOPED_TRACE(TextOf(tree, verb));
        ASSERT_NO_FATAL_FAILURE(ExpectAgreement(tree, verb, &plan));
        met.Count(plan);
      }
      for (const gc::Filter& filter : filters) {
        gc::PruneRequest request = verb;
        request.filter.labels = filter.labels;
        request.filter.times = filter.times;
        SCOPED_TRACE(TextOf(small.world, request));
        if (!MayCarry(request, filter)) {
          ASSERT_NO_FATAL_FAILURE(ExpectRefused(small.world, request));
          continue;
        }
        ASSERT_NO_FATAL_FAILURE(ExpectAgreement(small.world, request, &plan));
        met.Count(plan);
      }
    }
  }
  EXPECT_GT(met.record_count, 500);
  EXPECT_GT(met.tag_count, 100);
  EXPECT_GT(met.content_count, 300);
  EXPECT_GT(met.link_count, 50);
  EXPECT_GT(met.cached_count, 50);
  RecordProperty("figure_small_stores_pruned", met.plan_count);
}

class RandomWorld {
 public:
  RandomWorld(uint64_t seed, index::DoubtUnit unit)
      : random_(~seed), images_(seed, kGrace, unit), details_(&g()) {
    AddNetworksAndVolumes();
    AddSnapshots();
    AddCache();
    AddContainers();
    AddHolders();
    if (Below(3) == 0) AddPlace();
    Describe();
    Age();
  }

  // Of a random kind, with something unreadable or not.
  NaiveWorld Tree() {
    static const char* const kScopes[] = {"", "r0", "r1", "nowhere", "other"};
    NaiveWorld world;
    world.graph = &g();
    world.details = &details_;
    world.store_holds_records = Below(3) == 0;
    world.tags_leave_entries = Below(3) == 0;
    if (Below(3) == 0) world.unreadable_scopes.push_back(kScopes[Below(5)]);
    return world;
  }

  gc::PruneRequest Request(const std::vector<gc::PruneRequest>& verbs) {
    gc::PruneRequest request = verbs[Below(verbs.size())];
    if (Below(2) == 0) request.policy.grace_period = kGrace;
    for (size_t i = Below(3); i > 0; --i) {
      request.filter.labels.push_back(Label(Below(2) == 0 ? "k" : "q",
                                            Below(2) == 0 ? "" : Digit(),
                                            Below(2) == 0));
    }
    for (const TimeClock clock : ClocksOf(request)) {
      if (Below(6) == 0) request.filter.times.push_back({clock, AnyTime()});
    }
    if (!MayCarry(request, request.filter)) request.filter.labels.clear();
    return request;
  }

 private:
  TextGraph& g() { return images_.graph(); }
  size_t Below(size_t n) { return random_() % n; }
  std::string Digit() { return absl::StrCat(1 + Below(2)); }
  // Of few, so that some are the same: older is strictly older.
  absl::Time AnyTime() {
    return HoursAgo(100 * (1 + static_cast<int64_t>(Below(9))));
  }
  std::string Size() { return absl::StrCat(":", 1 + Below(99)); }
  std::string Image() {
    return Below(4) == 0 ? absl::StrCat("I", Below(4))
                         : absl::StrCat("M", Below(10));
  }
  // One of them, or "" if there is none.
  std::string AnyOf(const std::vector<std::string>& names) {
    return names.empty() ? "" : names[Below(names.size())];
  }
  void Flag(const std::string& name, uint16_t flag) {
    index::NamedRow& row = g().named(name);
    row.flags |= flag;
    g().PutNamed(row);
  }

  void AddNetworksAndVolumes() {
    for (size_t i = Below(3); i > 0; --i) {
      networks_.push_back(absl::StrCat("network/n", i));
      g().Add(networks_.back());
      if (Below(4) == 0) Flag(networks_.back(), index::kPredefined);
    }
    for (size_t i = Below(4); i > 0; --i) {
      volumes_.push_back(absl::StrCat("volume/v", i));
      g().Add(volumes_.back() + Size());
      if (Below(2) == 0) Flag(volumes_.back(), index::kAnonymous);
    }
  }
  void AddSnapshots() {
    for (size_t i = Below(5); i > 0; --i) {
      const std::string parent = Below(2) == 0 ? AnyOf(snapshots_) : "";
      const std::string image = Below(2) == 0 ? Image() : "";
      snapshots_.push_back(absl::StrCat("snapshot/s", i));
      g().Add(absl::StrCat(snapshots_.back(), Size(), "=", parent, " ", image));
      Place(snapshots_.back());
    }
  }
  // In a place of the engine, or in none.
  void Place(const std::string& name) {
    if (Below(2) == 0) return;
    index::NamedRow& row = g().named(name);
    row.place = 0;
    g().PutNamed(row);
  }
  void AddCache() {
    for (size_t i = Below(5); i > 0; --i) {
      const std::string parent = Below(2) == 0 ? AnyOf(caches_) : "";
      const std::string layer =
          Below(2) == 0 ? absl::StrCat("l", Below(10)) : "";
      caches_.push_back(absl::StrCat("cache/b", i));
      g().Add(absl::StrCat(caches_.back(), Size(), "=", parent, " ", layer));
      if (Below(5) == 0) Flag(caches_.back(), index::kInUse);
      if (Below(4) == 0) Flag(caches_.back(), index::kShared);
    }
  }
  void AddContainers() {
    for (size_t i = Below(4); i > 0; --i) {
      const std::string name =
          absl::StrCat(Below(3) == 0 ? "running" : "container", "/y", i);
      containers_.push_back(name);
      g().Add(absl::StrCat(name, Size(), "=", Image(), " ", AnyOf(snapshots_),
                           " ", AnyOf(networks_), " ", AnyOf(volumes_)));
      Place(name);
      if (Below(2) == 0) details_.exited[name] = AnyTime();
      if (Below(2) == 0) details_.written[name] = WrittenName();
    }
  }
  std::string WrittenName() {
    const std::string name = absl::StrCat("r", Below(3), ":v", Below(3));
    switch (Below(4)) {
      case 0:
        return "docker.io/library/" + name;
      case 1:
        return absl::StrCat(name, "@", g().DigestOf("M1").ToString());
      case 2:
        return absl::StrCat("r", Below(3));
      default:
        return name;
    }
  }
  std::vector<std::string> Tags() {
    std::vector<std::string> tags;
    g().view().ForEachNamed(NodeKind::kTag, 0, [&](NodeId id) {
      tags.push_back(g().Name(id));
      return true;
    });
    return tags;
  }
  void AddHolders() {
    std::vector<std::string> held = Tags();
    for (const auto* names :
         {&networks_, &volumes_, &snapshots_, &caches_, &containers_}) {
      held.insert(held.end(), names->begin(), names->end());
    }
    for (size_t i = Below(4); i > 0; --i) {
      static const char* const kWords[] = {"pin/q", "lease/m", "flat/g"};
      const std::string name = absl::StrCat(kWords[Below(3)], i);
      g().Add(absl::StrCat(name, "=", Below(4) == 0 ? Image() : AnyOf(held)));
      if (name[0] == 'p') continue;
      index::NamedRow& lease = g().named(name);
      lease.expires =
          TextGraph::Now() + absl::Seconds(static_cast<int64_t>(Below(3)) - 1);
      g().PutNamed(lease);
    }
  }
  void AddPlace() {
    g().InPlace(1, "other");
    g().Add("N1(d1 k1:9); N2(d2 k1 k2:4); z:v1=N1; +z=N1; +z~k2; +z=N2");
    if (Below(3) == 0) g().Add("?N2");
  }

  void Describe() {
    std::vector<std::string> described = {"c0", "c1", "c2", "c3", "c4", "d1"};
    for (const auto* names : {&networks_, &volumes_, &containers_}) {
      described.insert(described.end(), names->begin(), names->end());
    }
    for (const std::string& name : described) {
      if (Below(2) == 0) details_.labels[name]["k"] = Digit();
      if (Below(3) == 0) details_.labels[name]["q"] = Digit();
      if (Below(2) == 0) details_.created[name] = AnyTime();
    }
    if (Below(3) == 0) details_.attestations.insert("c1");
    if (Below(3) == 0) details_.without_config.insert("c2");
  }

  // Times of every kind, but uses only of what has some.
  void Age() {
    for (NodeId id = 0; id < g().view().node_count(); ++id) {
      if (!g().view().Exists(id)) continue;
      const NodeKind kind = g().view().kind(id);
      if (kind == NodeKind::kExtent || kind == NodeKind::kRepository) continue;
      if (IsContent(kind)) {
        AgeContent(&g().content(g().Name(id)));
      } else {
        AgeNamed(&g().named(g().Name(id)));
      }
    }
    for (NodeId id = 0; id < g().view().node_count(); ++id) {
      if (!g().view().Exists(id) || Below(2) == 0) continue;
      g().graph().RestoreUnreferenced(id, AnyTime());
    }
  }
  void AgeContent(index::ContentRow* row) {
    if (Below(3) == 0) row->recorded = AnyTime();
    if (Below(3) == 0) row->used = AnyTime();
    g().PutContent(*row);
  }
  void AgeNamed(index::NamedRow* row) {
    if (Below(2) == 0) row->recorded = AnyTime();
    const bool has_use = row->key.kind == NodeKind::kBuildCache;
    if (has_use && Below(2) == 0) row->used = AnyTime();
    g().PutNamed(*row);
  }

  std::mt19937_64 random_;
  RandomGraph images_;
  TextDetails details_;
  std::vector<std::string> networks_;
  std::vector<std::string> volumes_;
  std::vector<std::string> snapshots_;
  std::vector<std::string> caches_;
  std::vector<std::string> containers_;
};

TEST(VerbModelTest, AgreesOnRandomStores) {
  const uint64_t seed = AskSeed();
  const std::vector<gc::PruneRequest> verbs = AllVerbs();
  Met met;
  NaivePlan plan;
  for (uint64_t round = 0; round < kRandomStoreCount; ++round) {
    RandomWorld random(seed + round, round % 3 == 0
                                         ? index::DoubtUnit::kRepository
                                         : index::DoubtUnit::kPlace);
    for (int i = 0; i < kRequestsPerStore; ++i) {
      const NaiveWorld world = random.Tree();
      const gc::PruneRequest request = random.Request(verbs);
      SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " round ", round, ": ",
                                TextOf(world, request)));
      ASSERT_NO_FATAL_FAILURE(ExpectAgreement(world, request, &plan));
      met.Count(plan);
    }
  }
  EXPECT_GT(met.record_count, 300);
  EXPECT_GT(met.tag_count, 50);
  EXPECT_GT(met.content_count, 200);
  EXPECT_GT(met.link_count, 50);
  EXPECT_GT(met.cached_count, 20);
  RecordProperty("figure_random_stores_pruned", met.plan_count);
}

}  // namespace
}  // namespace reclaim::tests

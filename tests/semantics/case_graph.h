// tests/semantics/case_graph.h — the two worlds in which the cases are stated.
//
// PlanCase: a graph in one line of text (tests/support/graph_text.h) and the
// plans made over it.  RecordedCase: a durable reference graph on a memory
// engine, fed with the mutations that a client would send.
//
// A test's name holds the number of its case: CaseNNN_...

#ifndef RECLAIM_TESTS_SEMANTICS_CASE_GRAPH_H_
#define RECLAIM_TESTS_SEMANTICS_CASE_GRAPH_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gc/explain.h"
#include "gc/mark.h"
#include "gc/plan.h"
#include "gc/retention.h"
#include "gc/retention_survey.h"
#include "gc/space_target.h"
#include "gc/tenants.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/reference_graph.h"
#include "tests/support/graph_text.h"
#include "tests/support/text_details.h"

namespace reclaim::tests {

gc::PruneRequest Verb(gc::PruneVerb verb);
gc::PruneRequest Images();
gc::PruneRequest AllImages();
gc::PruneRequest System(bool all_images);
// Explicit removal, as `image rm` asks for it.
gc::PruneRequest Remove(const std::vector<std::string>& references);
// With `terms` parsed as the command line parses them; a failure fails the
// test.
gc::PruneRequest WithFilter(gc::PruneRequest request,
                            const std::vector<std::string>& terms,
                            gc::FilterTarget target);

class PlanCase : public ::testing::Test {
 protected:
  absl::StatusOr<gc::WholePlan> Make(gc::PruneRequest request);
  // What goes, in the order of the deed: "M1", "app:v1", "container/w", and
  // "app@M1", "app~l1" for links.
  std::vector<std::string> Doomed(const gc::PruneRequest& request);
  uint64_t FreedBytes(const gc::PruneRequest& request);
  // The item of a name in a plan; fails the test if there is none.
  gc::PlanItem ItemOf(const gc::WholePlan& plan, const std::string& name);
  std::string NameOf(const gc::PlanItem& item);

  // What the rules say of each tag, by name.
  std::vector<gc::TagDecision> Survey();

  // Roots that keep `name`, nearest first, as a path of names.
  std::vector<std::string> Why(const std::string& name);
  index::RootReason ReasonOf(const std::string& name);

  void SetRecorded(const std::string& name, absl::Time time);
  void SetExpiry(const std::string& name, absl::Time time);
  void SetFlag(const std::string& name, index::NodeFlag flag);
  // A reference by digest alone: a link that is the only name.
  void NameByDigest(const std::string& repository, const std::string& image);
  void Link(const std::string& repository, const std::string& name,
            store::MembershipKind kind, absl::Time linked);

  static absl::Time Now() { return TextGraph::Now(); }

  TextGraph g{""};
  TextDetails details{&g};
  absl::Duration grace = absl::ZeroDuration();
  gc::RuleSet rules;  // named "rules"
  bool knows_containers = true;
  std::vector<gc::KeptScope> unreadable;
  gc::SpaceState space;
  gc::TenantBook tenants;

 private:
  absl::StatusOr<gc::Explanation> ExplainName(const std::string& name);
};

class RecordedCase : public ::testing::Test {
 protected:
  RecordedCase();
  void Open();

  absl::Status Apply(std::vector<index::Operation> operations);
  absl::StatusOr<gc::WholePlan> Make(gc::PruneRequest request);
  // Digests that go, as letters where a letter has that digest.
  std::vector<std::string> Doomed(const gc::PruneRequest& request);

  index::PutBlob Blob(const std::string& letter, uint64_t bytes);
  // A manifest over letters, the first of them the config.
  index::PutManifest Image(const std::string& name,
                           const std::vector<std::string>& blobs);
  index::PutManifest Document(const std::string& name, const std::string& text);
  index::PutTag Tag(const std::string& repository, const std::string& tag,
                    const std::string& name);
  index::PutContainer Container(const std::string& id,
                                index::ContainerState state,
                                const std::string& reference);

  oci::Digest DigestOf(const std::string& name) const;
  bool IsLive(const std::string& name);
  index::StoreTotals Totals();

  index::MemoryEngine engine;
  base::SimulatedClock clock;
  index::GraphOptions options;
  std::unique_ptr<index::ReferenceGraph> graph;

 private:
  std::map<std::string, oci::Digest> named_;  // manifests, by their name
};

// A descriptor as JSON; `extra` is more members, each with a leading comma.
std::string DescriptorText(const oci::Digest& digest,
                           const std::string& media_type,
                           const std::string& extra = "");
std::string IndexText(const std::vector<oci::Digest>& manifests);

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SEMANTICS_CASE_GRAPH_H_

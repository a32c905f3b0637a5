#include "tests/semantics/case_graph.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "oci/media_type.h"

namespace reclaim::tests {

using base::IsOk;
using store::MembershipKind;

gc::PruneRequest Verb(gc::PruneVerb verb) {
  gc::PruneRequest request;
  request.verb = verb;
  return request;
}
gc::PruneRequest Images() { return Verb(gc::PruneVerb::kImages); }
gc::PruneRequest AllImages() { return Verb(gc::PruneVerb::kAllImages); }
gc::PruneRequest System(bool all_images) {
  gc::PruneRequest request = Verb(gc::PruneVerb::kSystem);
  request.all_images = all_images;
  return request;
}
gc::PruneRequest Remove(const std::vector<std::string>& references) {
  gc::PruneRequest request = Images();
  request.only_references = references;
  return request;
}

gc::PruneRequest WithFilter(gc::PruneRequest request,
                            const std::vector<std::string>& terms,
                            gc::FilterTarget target) {
  const auto filter =
      gc::ParseFilter(terms, {}, target, TextGraph::Now(), absl::UTCTimeZone());
  EXPECT_THAT(filter, IsOk());
  if (filter.ok()) request.filter = *filter;
  return request;
}

absl::StatusOr<gc::WholePlan> PlanCase::Make(gc::PruneRequest request) {
  gc::PlanInputs inputs;
  inputs.view = &g.view();
  inputs.details = &details;
  inputs.store = 0;
  inputs.store_knows_containers = knows_containers;
  inputs.unreadable_scopes = unreadable;
  inputs.space = space;
  inputs.tenants = &tenants;
  inputs.now = Now();
  request.policy.grace_period = grace;
  rules.name = "rules";
  EXPECT_THAT(gc::CheckRuleSet(rules), IsOk());
  const auto compiled = gc::RetentionRules::Compile({rules}, "s");
  EXPECT_THAT(compiled, IsOk());
  inputs.rules = &*compiled;
  return gc::MakePlan(inputs, request);
}

std::vector<gc::TagDecision> PlanCase::Survey() {
  rules.name = "rules";
  const auto compiled = gc::RetentionRules::Compile({rules}, "s");
  EXPECT_THAT(compiled, IsOk());
  const auto roots =
      gc::CollectRoots(g.view(), 0, {Now(), grace, absl::Hours(168)});
  gc::SurveyInputs inputs;
  inputs.view = &g.view();
  inputs.details = &details;
  inputs.store = 0;
  inputs.now = Now();
  inputs.grace_period = grace;
  inputs.roots = roots;
  const auto decisions = gc::SurveyTags(inputs, *compiled);
  EXPECT_THAT(decisions, IsOk());
  return decisions.ok() ? *decisions : std::vector<gc::TagDecision>();
}

std::string PlanCase::NameOf(const gc::PlanItem& item) {
  if (item.node != index::kNoNode) return g.Name(item.node);
  const char* sign =
      item.removal->kind == store::RemovalKind::kLayerLink ? "~" : "@";
  return absl::StrCat(item.scope, sign,
                      g.Name(g.view().FindContent(0, *item.digest)));
}

std::vector<std::string> PlanCase::Doomed(const gc::PruneRequest& request) {
  const auto plan = Make(request);
  EXPECT_THAT(plan, IsOk());
  std::vector<std::string> names;
  if (!plan.ok()) return names;
  for (const gc::PlanItem& item : plan->items) names.push_back(NameOf(item));
  return names;
}

uint64_t PlanCase::FreedBytes(const gc::PruneRequest& request) {
  const auto plan = Make(request);
  EXPECT_THAT(plan, IsOk());
  return plan.ok() ? plan->totals.bytes.content.logical_bytes : 0;
}

gc::PlanItem PlanCase::ItemOf(const gc::WholePlan& plan,
                              const std::string& name) {
  for (const gc::PlanItem& item : plan.items) {
    if (NameOf(item) == name) return item;
  }
  ADD_FAILURE() << "the plan has no " << name;
  return {};
}

absl::StatusOr<gc::Explanation> PlanCase::ExplainName(const std::string& name) {
  const auto roots =
      gc::CollectRoots(g.view(), 0, {Now(), grace, absl::Hours(168)});
  return gc::Explain(g.view(), roots, g.Id(name), 1);
}

std::vector<std::string> PlanCase::Why(const std::string& name) {
  const auto explanation = ExplainName(name);
  EXPECT_THAT(explanation, IsOk());
  std::vector<std::string> path;
  if (!explanation.ok() || explanation->paths.empty()) return path;
  for (const index::NodeId id : explanation->paths[0].nodes) {
    path.push_back(g.Name(id));
  }
  return path;
}

index::RootReason PlanCase::ReasonOf(const std::string& name) {
  const auto explanation = ExplainName(name);
  EXPECT_THAT(explanation, IsOk());
  if (!explanation.ok() || explanation->paths.empty()) {
    return index::RootReason::kNone;
  }
  return explanation->paths[0].reason;
}

void PlanCase::SetRecorded(const std::string& name, absl::Time time) {
  if (!IsContent(g.view().kind(g.Id(name)))) {
    index::NamedRow& row = g.named(name);
    row.recorded = time;
    g.PutNamed(row);
    return;
  }
  index::ContentRow& row = g.content(name);
  row.recorded = time;
  g.PutContent(row);
}

void PlanCase::SetExpiry(const std::string& name, absl::Time time) {
  index::NamedRow& row = g.named(name);
  row.expires = time;
  g.PutNamed(row);
}

void PlanCase::SetFlag(const std::string& name, index::NodeFlag flag) {
  index::NamedRow& row = g.named(name);
  row.flags |= flag;
  g.PutNamed(row);
}

void PlanCase::NameByDigest(const std::string& repository,
                            const std::string& image) {
  g.Add(absl::StrCat("+", repository, "=", image));
  index::MembershipRow row;
  row.repository = g.Id("repository/" + repository);
  row.content = g.Id(image);
  row.linked = TextGraph::Recorded();
  row.is_only_name = true;
  g.graph().PutMembership(row);
}

void PlanCase::Link(const std::string& repository, const std::string& name,
                    MembershipKind kind, absl::Time linked) {
  const char* sign = kind == MembershipKind::kLayer ? "~" : "=";
  g.Add(absl::StrCat("+", repository, sign, name));
  index::MembershipRow row;
  row.repository = g.Id("repository/" + repository);
  row.content = g.Id(name);
  row.kind = kind;
  row.linked = linked;
  g.graph().PutMembership(row);
}

std::string DescriptorText(const oci::Digest& digest,
                           const std::string& media_type,
                           const std::string& extra) {
  return absl::StrCat(R"({"mediaType":")", media_type, R"(","digest":")",
                      digest.ToString(), R"(","size":1)", extra, "}");
}

std::string IndexText(const std::vector<oci::Digest>& manifests) {
  std::vector<std::string> entries;
  for (const oci::Digest& digest : manifests) {
    entries.push_back(DescriptorText(digest, oci::kOciManifestType));
  }
  return absl::StrCat(R"({"schemaVersion":2,"mediaType":")", oci::kOciIndexType,
                      R"(","manifests":[)", absl::StrJoin(entries, ","), "]}");
}

namespace {

// The durable graph, as the planner asks it.
class GraphDetails final : public gc::DetailSource {
 public:
  explicit GraphDetails(const index::ReferenceGraph* graph) : graph_(graph) {}
  absl::StatusOr<index::NamedRecord> GetNamed(index::NodeId id) const override {
    return graph_->GetNamed(id);
  }
  absl::StatusOr<std::optional<index::PutImageConfig>> GetImageConfig(
      index::NodeId config) const override {
    return graph_->GetImageConfig(config);
  }

 private:
  const index::ReferenceGraph* graph_;
};

}  // namespace

RecordedCase::RecordedCase() {
  options.grace_period = absl::ZeroDuration();
  Open();
  index::StoreRecord store;
  store.name = "s";
  EXPECT_THAT(graph->RegisterStore(store), IsOk());
  clock.Advance(absl::Hours(1));
}

void RecordedCase::Open() {
  graph.reset();
  auto opened = index::ReferenceGraph::Open(&engine, &clock, options);
  ASSERT_THAT(opened, IsOk());
  graph = *std::move(opened);
}

absl::Status RecordedCase::Apply(std::vector<index::Operation> operations) {
  index::Mutation mutation;
  mutation.operations = std::move(operations);
  mutation.actor = "test";
  return graph->Apply(mutation, index::Durability::kDurable).status();
}

absl::StatusOr<gc::WholePlan> RecordedCase::Make(gc::PruneRequest request) {
  const auto reader = graph->Read();
  const GraphDetails details(graph.get());
  gc::PlanInputs inputs;
  inputs.view = &reader->view();
  inputs.details = &details;
  inputs.store = 0;
  inputs.store_knows_containers = true;
  inputs.now = clock.Now();
  request.policy.grace_period = options.grace_period;
  return gc::MakePlan(inputs, request);
}

std::vector<std::string> RecordedCase::Doomed(const gc::PruneRequest& request) {
  const auto plan = Make(request);
  EXPECT_THAT(plan, IsOk());
  std::vector<std::string> names;
  if (!plan.ok()) return names;
  for (const gc::PlanItem& item : plan->items) {
    std::string name = item.name;
    for (const auto& [known, digest] : named_) {
      if (name.empty() && item.digest == digest) name = known;
    }
    names.push_back(std::move(name));
  }
  return names;
}

oci::Digest RecordedCase::DigestOf(const std::string& name) const {
  const auto it = named_.find(name);
  return it == named_.end() ? oci::Digest::Sha256Of(name) : it->second;
}

index::PutBlob RecordedCase::Blob(const std::string& letter, uint64_t bytes) {
  named_[letter] = oci::Digest::Sha256Of(letter);
  index::PutBlob op;
  op.name = {"s", "", DigestOf(letter)};
  op.bytes = {bytes, bytes};
  return op;
}

index::PutManifest RecordedCase::Document(const std::string& name,
                                          const std::string& text) {
  index::PutManifest op;
  op.name = {"s", "", oci::Digest::Sha256Of(text)};
  op.bytes = text;
  named_[name] = op.name.digest;
  return op;
}

index::PutManifest RecordedCase::Image(const std::string& name,
                                       const std::vector<std::string>& blobs) {
  std::vector<std::string> layers;
  for (size_t i = 1; i < blobs.size(); ++i) {
    layers.push_back(DescriptorText(DigestOf(blobs[i]), "application/x-layer"));
  }
  return Document(
      name,
      absl::StrCat(R"({"mediaType":")", oci::kOciManifestType, R"(","config":)",
                   DescriptorText(DigestOf(blobs[0]), oci::kOciConfigType),
                   R"(,"layers":[)", absl::StrJoin(layers, ","), "]}"));
}

index::PutTag RecordedCase::Tag(const std::string& repository,
                                const std::string& tag,
                                const std::string& name) {
  index::PutTag op;
  op.store = "s";
  op.repository = repository;
  op.tag = tag;
  op.digest = DigestOf(name);
  return op;
}

index::PutContainer RecordedCase::Container(const std::string& id,
                                            index::ContainerState state,
                                            const std::string& reference) {
  index::PutContainer op;
  op.store = "s";
  op.id = id;
  op.state = state;
  op.image_reference = reference;
  op.writable = store::Bytes{0, 0};
  return op;
}

bool RecordedCase::IsLive(const std::string& name) {
  const auto reader = graph->Read();
  const index::NodeId id = reader->view().FindContent(0, DigestOf(name));
  return id != index::kNoNode && reader->IsLive(id);
}

index::StoreTotals RecordedCase::Totals() { return graph->Read()->totals(0); }

}  // namespace reclaim::tests

#include "tests/support/random_graph.h"

#include "absl/strings/str_cat.h"

namespace reclaim::tests {

RandomGraph::RandomGraph(uint64_t seed, absl::Duration grace_period,
                         index::DoubtUnit unit)
    : random_(seed), grace_(grace_period) {
  const bool is_registry = unit == index::DoubtUnit::kRepository;
  if (is_registry) g_.DoubtByRepository();
  const uint32_t manifests = 1 + Below(10);
  for (uint32_t i = 0; i < manifests; ++i) AddManifest(i);
  for (uint32_t i = 0; i < Below(4); ++i) AddIndex(i);
  for (uint32_t i = 0; i < Below(7); ++i) AddTag();
  AddRecords();
  for (uint32_t i = 0; i < Below(14); ++i) AddLink();
  for (uint32_t i = 0; i < Below(6); ++i) ChangeState();
  for (uint32_t i = 0; i < Below(3); ++i) AddExtent(i);
  if (Below(is_registry ? 2 : 25) == 0) Add("?" + Image());
  if (is_registry && Below(4) == 0) Add("?" + Image());
}

std::string RandomGraph::Image() {
  return Below(4) == 0 ? absl::StrCat("I", Below(4))
                       : absl::StrCat("M", Below(10));
}

std::string RandomGraph::Part() {
  return absl::StrCat(Below(2) ? "l" : "c", Below(8), ":", 1 + Below(99));
}

void RandomGraph::AddManifest(uint32_t i) {
  std::string text = absl::StrCat("M", i, "(");
  for (uint32_t k = 0; k < Below(5); ++k) absl::StrAppend(&text, Part(), " ");
  absl::StrAppend(&text, ")");
  if (Below(4) == 0) absl::StrAppend(&text, "^", Image());
  Add(text);
}

void RandomGraph::AddIndex(uint32_t i) {
  std::string text = absl::StrCat("I", i, "[");
  for (uint32_t k = 0; k < Below(4); ++k) {
    absl::StrAppend(&text, Image(), " ");
  }
  absl::StrAppend(&text, "]");
  if (Below(5) == 0) absl::StrAppend(&text, "^", Image());
  Add(text);
}

void RandomGraph::AddTag() {
  const std::string name = absl::StrCat("r", Below(3), ":v", Below(3));
  Add(absl::StrCat(name, "=", Image()));
  if (Below(6) != 0) return;
  index::NamedRow& tag = g_.named(name);
  tag.recorded = TextGraph::Now();
  g_.PutNamed(tag);
}

void RandomGraph::AddRecords() {
  for (uint32_t i = 0; i < Below(3); ++i) {
    Add(absl::StrCat("container/w", i, "=", Image()));
  }
  if (Below(4) == 0) Add(absl::StrCat("pin/p=", Image()));
  if (Below(4) == 0) Add(absl::StrCat("flat/f=", Image()));
  if (Below(4) == 0) {
    Add(absl::StrCat("lease/l=", Image(), " ", Image()));
    index::NamedRow& lease = g_.named("lease/l");
    lease.expires =
        TextGraph::Now() + absl::Seconds(Below(3)) - absl::Seconds(1);
    g_.PutNamed(lease);
  }
  if (Below(3) == 0) Add("upload/r0/u:7");
}

void RandomGraph::AddLink() {
  index::MembershipRow row;
  const std::string name = absl::StrCat("r", Below(3));
  const bool is_layer = Below(2) != 0;
  const std::string target = is_layer ? Part() : Image();
  Add(absl::StrCat("+", name, is_layer ? "~" : "=", target));
  row.repository = g_.Id("repository/" + name);
  row.content = g_.Id(target.substr(0, target.find(':')));
  row.kind = is_layer ? store::MembershipKind::kLayer
                      : store::MembershipKind::kRevision;
  row.linked = Below(6) == 0 ? TextGraph::Now() : TextGraph::Recorded();
  row.is_only_name = !is_layer && Below(8) == 0;
  g_.graph().PutMembership(row);
}

void RandomGraph::ChangeState() {
  const std::string part = Part();
  index::ContentRow& row =
      g_.content(Below(2) ? Image() : part.substr(0, part.find(':')));
  if (Below(3) == 0) {
    row.recorded = TextGraph::Now() - grace_ + absl::Seconds(Below(2));
  } else {
    row.state = static_cast<index::NodeState>(Below(3));
  }
  g_.PutContent(row);
}

// Two or three blobs that are one file.
void RandomGraph::AddExtent(uint32_t i) {
  index::ContentRow extent;
  extent.id = 200 + i;  // beyond every name
  extent.kind = index::NodeKind::kExtent;
  extent.bytes = {1000 + i, 4096};
  g_.graph().PutContent(extent);
  for (uint32_t k = 0; k < 2 + Below(2); ++k) {
    const std::string name = absl::StrCat("l", Below(8));
    index::ContentRow& row = g_.content(name);
    if (row.extent != index::kNoNode) continue;
    row.bytes = {};
    row.extent = extent.id;
    g_.PutContent(row);
  }
}

}  // namespace reclaim::tests

// tests/support/graph_text.h — a reference graph in one line of text.
//
//   TextGraph g("M1(c1:10 l1:100 l2:200); app:v1=M1; M2(c2:10 l1)");
//
// Statements, separated by ';':
//   l9:30            a blob of 30 bytes, present
//   M1(c1:10 l1:5)   an image manifest with config (the first) and layers
//   I1[M1 M2]        an image index
//   S1(c9:1 l9:2)^M1 a referrer of M1; also S1[..]^M1
//   app:v1=M1        a tag
//   container/web=M1 volume/data   names of other kinds; "=" lists targets
//   lease/l=M1 flat/f=M1 pin/p=M1 running/web=M1 upload/app/u:10
//   +app=M1 +app~l1  a repository's revision and layer link
//   !x               x is absent: referenced, but not here
//   ?M9              M9 is opaque
// A child that is mentioned without a size before is present with 1 byte.
// Manifests are 5 bytes, "M1:50(...)" 50.  Allocated bytes are logical + 4096.
// A letter's digest is the SHA-256 of its name.

#ifndef RECLAIM_TESTS_SUPPORT_GRAPH_TEXT_H_
#define RECLAIM_TESTS_SUPPORT_GRAPH_TEXT_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "index/resident_graph.h"

namespace reclaim::tests {

class TextGraph {
 public:
  // Everything was recorded at `recorded`; the clock stands at `now`.
  explicit TextGraph(absl::string_view text,
                     absl::Duration grace_period = absl::ZeroDuration());

  // As in a registry: an opaque manifest puts in doubt what the repositories
  // that name it link.  REQUIRES: there is no node yet.
  void DoubtByRepository() {
    graph_.PutStore(0, "s", index::DoubtUnit::kRepository);
  }

  // What is new, content, tags, uploads and repositories, lies there from now
  // on.
  void InPlace(index::PlaceId place, const std::string& name) {
    graph_.PutPlace(place, 0, name);
    place_ = place;
  }

  // More statements.
  void Add(absl::string_view text);

  index::ResidentGraph& graph() { return graph_; }
  const index::ResidentGraph& graph() const { return graph_; }
  const index::GraphView& view() const { return graph_; }
  // The node of a letter ("M1") or a name ("app:v1", "container/web").
  index::NodeId Id(const std::string& name) const;
  // The reverse, for messages: "M1", "app:v1".
  std::string Name(index::NodeId id) const;
  std::set<std::string> Names(const std::vector<index::NodeId>& ids) const;

  static oci::Digest DigestOf(const std::string& letter);
  static absl::Time Now() { return absl::FromUnixSeconds(1767323045); }
  static absl::Time Recorded() { return Now() - absl::Hours(1000); }

  void PutContent(const index::ContentRow& row);
  void PutNamed(const index::NamedRow& row);
  index::ContentRow& content(const std::string& letter);
  index::NamedRow& named(const std::string& name) { return named_.at(name); }

 private:
  void Statement(absl::string_view text);
  void Manifest(absl::string_view text, char open, char close);
  void Named(absl::string_view text);
  void Membership(absl::string_view text);
  index::NodeId Mention(absl::string_view text, index::NodeKind kind);
  index::NodeId NewId(const std::string& name);

  index::ResidentGraph graph_;
  index::PlaceId place_ = 0;
  std::map<std::string, index::NodeId> ids_;
  std::vector<std::string> names_;
  std::map<std::string, index::ContentRow> content_;
  std::map<std::string, index::NamedRow> named_;
};

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_GRAPH_TEXT_H_

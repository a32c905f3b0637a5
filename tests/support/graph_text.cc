#include "tests/support/graph_text.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/check.h"

namespace reclaim::tests {
namespace {

using index::NodeId;
using index::NodeKind;
using index::NodeState;

store::Bytes Sized(uint64_t bytes) { return {bytes, bytes + 4096}; }

const std::map<std::string, NodeKind>& NamedKinds() {
  static const auto* const kKinds = new std::map<std::string, NodeKind>{
      {"container", NodeKind::kContainer}, {"running", NodeKind::kContainer},
      {"volume", NodeKind::kVolume},       {"network", NodeKind::kNetwork},
      {"cache", NodeKind::kBuildCache},    {"lease", NodeKind::kLease},
      {"flat", NodeKind::kLease},          {"pin", NodeKind::kPin},
      {"snapshot", NodeKind::kSnapshot},   {"upload", NodeKind::kUpload}};
  return *kKinds;
}

}  // namespace

TextGraph::TextGraph(absl::string_view text, absl::Duration grace_period)
    : graph_(grace_period, nullptr) {
  graph_.PutStore(0, "s");
  graph_.PutPlace(0, 0, "");
  graph_.AdvanceTo(Now());
  Add(text);
}

void TextGraph::Add(absl::string_view text) {
  for (absl::string_view statement : absl::StrSplit(text, ';')) {
    statement = absl::StripAsciiWhitespace(statement);
    if (!statement.empty()) Statement(statement);
  }
}

void TextGraph::Statement(absl::string_view text) {
  if (text[0] == '!' || text[0] == '?') {
    index::ContentRow& row = content(std::string(text.substr(1)));
    if (text[0] == '!') {
      row.state = NodeState::kAbsent;
      row.bytes = {};
    } else {
      row.flags |= index::kOpaque;
    }
    graph_.PutContent(row);
  } else if (text[0] == '+') {
    Membership(text.substr(1));
  } else if (text.find('(') != absl::string_view::npos) {
    Manifest(text, '(', ')');
  } else if (text.find('[') != absl::string_view::npos) {
    Manifest(text, '[', ']');
  } else if (text.find('=') != absl::string_view::npos ||
             text.find('/') != absl::string_view::npos) {
    Named(text);
  } else {
    Mention(text, NodeKind::kBlob);
  }
}

NodeId TextGraph::NewId(const std::string& name) {
  const NodeId id = static_cast<NodeId>(names_.size());
  ids_[name] = id;
  names_.push_back(name);
  return id;
}

NodeId TextGraph::Mention(absl::string_view text, NodeKind kind) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  const std::string& name = parts[0];
  const auto [it, is_new] = content_.try_emplace(name);
  index::ContentRow& row = it->second;
  if (is_new) {
    row.id = NewId(name);
    row.key = {place_, DigestOf(name)};
    row.state = NodeState::kPresent;
    row.bytes = Sized(1);
    row.recorded = Recorded();
  }
  if (row.kind == NodeKind::kBlob) row.kind = kind;
  uint64_t size = 0;
  if (parts.size() > 1 && absl::SimpleAtoi(parts[1], &size)) {
    row.bytes = Sized(size);
  }
  graph_.PutContent(row);
  return row.id;
}

void TextGraph::Manifest(absl::string_view text, char open, char close) {
  const size_t begin = text.find(open);
  const size_t end = text.find(close);
  const bool is_index = open == '[';
  std::vector<NodeId> children;
  for (const absl::string_view child : absl::StrSplit(
           text.substr(begin + 1, end - begin - 1), ' ', absl::SkipEmpty())) {
    const NodeKind kind = is_index           ? NodeKind::kBlob
                          : children.empty() ? NodeKind::kConfig
                                             : NodeKind::kLayer;
    children.push_back(Mention(child, kind));
  }
  const std::string head(text.substr(0, begin));
  const std::string name = head.substr(0, head.find(':'));
  const bool is_new = content_.count(name) == 0;
  Mention(head, NodeKind::kBlob);
  index::ContentRow& row = content_.at(name);
  if (is_new && head == name) row.bytes = Sized(5);
  row.kind = is_index ? NodeKind::kImageIndex : NodeKind::kManifest;
  row.children = std::move(children);
  if (const size_t caret = text.find('^'); caret != absl::string_view::npos) {
    row.subject = Mention(text.substr(caret + 1), NodeKind::kBlob);
    row.flags |= index::kReferrer;
  }
  graph_.PutContent(row);
}

void TextGraph::Named(absl::string_view text) {
  const std::vector<std::string> sides =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  std::string head = sides[0];
  const std::string word = head.substr(0, head.find('/'));
  const auto kind = NamedKinds().find(word);
  index::NamedRow row;
  row.recorded = Recorded();
  if (kind == NamedKinds().end()) {
    const size_t colon = head.rfind(':');
    row.key = {NodeKind::kTag, 0, head.substr(0, colon),
               head.substr(colon + 1)};
  } else {
    row.key = {kind->second, 0, "", head.substr(word.size() + 1)};
    if (word == "running") row.flags |= index::kRunning;
    if (word == "flat") row.flags |= index::kFlat;
    const size_t colon = row.key.name.find(':');
    uint64_t size = 0;
    if (colon != std::string::npos &&
        absl::SimpleAtoi(row.key.name.substr(colon + 1), &size)) {
      row.bytes = Sized(size);
      row.key.name.resize(colon);
      head = absl::StrCat(word, "/", row.key.name);
    }
    if (kind->second == NodeKind::kUpload) {
      const size_t slash = row.key.name.rfind('/');
      row.key.scope = row.key.name.substr(0, slash);
      row.key.name = row.key.name.substr(slash + 1);
    }
  }
  if (sides.size() > 1) {
    for (const absl::string_view target :
         absl::StrSplit(sides[1], ' ', absl::SkipEmpty())) {
      const auto known = ids_.find(std::string(target));
      row.targets.push_back(known != ids_.end()
                                ? known->second
                                : Mention(target, NodeKind::kBlob));
    }
  }
  if (row.key.kind == NodeKind::kTag || row.key.kind == NodeKind::kUpload) {
    row.place = place_;
    Membership(row.key.scope);
  }
  const auto known = named_.find(head);
  row.id = known != named_.end() ? known->second.id : NewId(head);
  named_[head] = row;
  graph_.PutNamed(row);
}

void TextGraph::Membership(absl::string_view text) {
  const size_t split = text.find_first_of("=~");
  const std::string repository(text.substr(0, split));
  if (named_.count("repository/" + repository) == 0) {
    index::NamedRow row;
    row.id = NewId("repository/" + repository);
    row.key = {NodeKind::kRepository, 0, "", repository};
    row.place = place_;
    row.recorded = Recorded();
    named_["repository/" + repository] = row;
    graph_.PutNamed(row);
  }
  if (split == absl::string_view::npos) return;
  const bool is_layer = text[split] == '~';
  index::MembershipRow row;
  row.repository = Id("repository/" + repository);
  row.content = Mention(text.substr(split + 1), NodeKind::kBlob);
  row.kind = is_layer ? store::MembershipKind::kLayer
                      : store::MembershipKind::kRevision;
  row.linked = Recorded();
  graph_.PutMembership(row);
}

NodeId TextGraph::Id(const std::string& name) const {
  const auto it = ids_.find(name);
  RECLAIM_CHECK(it != ids_.end(), "the text names it");
  return it->second;
}

std::string TextGraph::Name(NodeId id) const {
  return id < names_.size() ? names_[id] : absl::StrCat("#", id);
}

std::set<std::string> TextGraph::Names(const std::vector<NodeId>& ids) const {
  std::set<std::string> names;
  for (const NodeId id : ids) names.insert(Name(id));
  return names;
}

oci::Digest TextGraph::DigestOf(const std::string& letter) {
  return oci::Digest::Sha256Of(letter);
}

index::ContentRow& TextGraph::content(const std::string& letter) {
  Mention(letter, NodeKind::kBlob);
  return content_.at(letter);
}

void TextGraph::PutContent(const index::ContentRow& row) {
  graph_.PutContent(row);
}
void TextGraph::PutNamed(const index::NamedRow& row) { graph_.PutNamed(row); }

}  // namespace reclaim::tests

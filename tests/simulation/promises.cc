#include "tests/simulation/promises.h"

#include <cstddef>
#include <iterator>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::simulation {
namespace {

using store::MembershipKind;
using tests::AllMachineContent;
using tests::MachineContent;
using tests::MachineManifests;

int NumberOf(const oci::Digest& digest) {
  static const auto* const numbers = [] {
    auto* const made = new std::map<oci::Digest, int>();
    for (size_t i = 0; i < AllMachineContent().size(); ++i) {
      made->emplace(AllMachineContent()[i].digest, static_cast<int>(i));
    }
    return made;
  }();
  return numbers->at(digest);
}

std::string NameOf(const Disk::TagName& name) {
  return absl::StrCat(name.first, ":", name.second);
}

// All that its bytes say it consists of and, if asked, what refers to that.
void Reach(int content, bool with_referrers, std::set<int>* reached) {
  if (!reached->insert(content).second) return;
  for (const int child : ContentOf(content).children) {
    Reach(child, with_referrers, reached);
  }
  if (!with_referrers) return;
  for (const int other : MachineManifests()) {
    if (ContentOf(other).subject == content) Reach(other, true, reached);
  }
}

}  // namespace

const MachineContent& ContentOf(int content) {
  return AllMachineContent()[static_cast<size_t>(content)];
}

Disk::LinkName LinkTo(const std::string& repository, int content) {
  const MachineContent& of = ContentOf(content);
  return Disk::LinkName(
      repository, of.digest,
      of.is_manifest ? MembershipKind::kRevision : MembershipKind::kLayer);
}

bool Promises::IsHere(int content) const {
  return disk_.blobs.count(ContentOf(content).digest) > 0;
}

bool Promises::IsAway(int content) const {
  for (const auto& [key, moved] : disk_.quarantine) {
    if (moved.blobs.count(ContentOf(content).digest) > 0) return true;
  }
  return false;
}

bool Promises::IsAway(const Disk::LinkName& link) const {
  for (const auto& [key, moved] : disk_.quarantine) {
    if (moved.links.count(link) > 0) return true;
  }
  return false;
}

void Promises::Unlinked(const Disk::LinkName& manifest) {
  deletions_[manifest] = ++serial_;
  deleted_.insert(manifest);
  for (const auto& [name, tag] : tags_) {
    if (!IsServed(name, NumberOf(tag.digest))) told_.erase(name);
  }
}

void Promises::Tagged(const Disk::TagName& name) {
  tag_changes_[name] = ++serial_;
  tags_[name] = disk_.tags.at(name);
  told_.erase(name);
}

void Promises::Untagged(const Disk::TagName& name) {
  tag_changes_[name] = ++serial_;
  tags_.erase(name);
  told_.erase(name);
}

Promises::Sight Promises::Look() const {
  Sight sight;
  sight.serial = serial_;
  for (const auto& [name, modified] : disk_.links) {
    if (std::get<2>(name) == MembershipKind::kRevision) {
      sight.revisions.insert(name);
    }
  }
  for (const int manifest : MachineManifests()) {
    if (IsHere(manifest)) sight.manifests.insert(manifest);
  }
  return sight;
}

void Promises::Seen(const Sight& before, absl::Time now) {
  for (const Disk::LinkName& link : before.revisions) {
    const int manifest = NumberOf(std::get<1>(link));
    const auto deleted = deletions_.find(link);
    const bool has_stayed =
        disk_.links.count(link) > 0 &&
        (deleted == deletions_.end() || deleted->second <= before.serial);
    if (has_stayed && before.manifests.count(manifest) > 0 &&
        IsHere(manifest)) {
      known_.insert(manifest);
    }
  }
  for (const auto& [name, tag] : tags_) {
    const int manifest = NumberOf(tag.digest);
    if (tag_changes_[name] > before.serial || !IsServed(name, manifest)) {
      continue;
    }
    told_[name] = Given(manifest, absl::StrCat("the tag ", NameOf(name)));
  }
  for (auto& [holder, held] : holds_) {
    if (held.until >= now) held.here = Given(held.content, holder);
  }
}

void Promises::Hold(const std::string& holder, int content, absl::Time until) {
  holds_[holder] = {content, until, Given(content, holder)};
}

std::set<int> Promises::KnownBelow(int content) const {
  std::set<int> below = {content};
  std::vector<int> todo = {content};
  const auto add = [&](int id) {
    if (below.insert(id).second) todo.push_back(id);
  };
  while (!todo.empty()) {
    const int id = todo.back();
    todo.pop_back();
    if (known_.count(id) > 0) {
      for (const int child : ContentOf(id).children) add(child);
    }
    for (const int other : known_) {
      if (ContentOf(other).subject == id) add(other);
    }
  }
  return below;
}

std::set<int> Promises::Given(int content, const std::string& holder) {
  std::set<int> here;
  for (const int id : KnownBelow(content)) {
    if (IsHere(id)) here.insert(id);
    if (broken_.empty() && is_quarantined_(id)) {
      broken_ = absl::StrCat(holder, " names ", content, ", and ", id,
                             " below it is in quarantine still (I4)");
    }
  }
  return here;
}

// Whoever has it again has to read it again.
void Promises::ForgetLost() {
  for (auto it = known_.begin(); it != known_.end();) {
    const bool is_lost = !IsHere(*it) && !IsAway(*it);
    it = is_lost ? known_.erase(it) : std::next(it);
  }
}

std::string Promises::Missing(const Disk::TagName& name, int manifest,
                              bool may_be_away) const {
  if (!IsServed(name, manifest)) return "";
  std::vector<int> contents = ContentOf(manifest).children;
  contents.push_back(manifest);
  for (const int content : contents) {
    if (!IsHere(content) && !(may_be_away && IsAway(content))) {
      return absl::StrCat("lost: the bytes of ", content, " of the tag ",
                          NameOf(name));
    }
    const Disk::LinkName link = LinkTo(name.first, content);
    if (deleted_.count(link) > 0 || disk_.links.count(link) > 0) continue;
    if (may_be_away && IsAway(link)) continue;
    return absl::StrCat("lost: the link to ", content, " of the tag ",
                        NameOf(name));
  }
  return "";
}

std::string Promises::CheckTags() const {
  if (disk_.tags.size() != tags_.size()) {
    return absl::StrCat(disk_.tags.size(), " tags, and writers have left ",
                        tags_.size());
  }
  for (const auto& [name, tag] : tags_) {
    const auto it = disk_.tags.find(name);
    if (it == disk_.tags.end() || it->second.digest != tag.digest ||
        it->second.modified != tag.modified) {
      return absl::StrCat("the tag ", NameOf(name),
                          " is not as its writer left it");
    }
    std::string missing =
        Missing(name, NumberOf(tag.digest), /*may_be_away=*/true);
    if (!missing.empty()) return missing;
  }
  return "";
}

std::string Promises::CheckKept(absl::Time now) {
  for (const auto& [name, here] : told_) {
    for (const int content : here) {
      if (IsHere(content)) continue;
      return absl::StrCat("taken: ", content, ", which the tag ", NameOf(name),
                          " keeps that a scan has seen");
    }
  }
  for (auto it = holds_.begin(); it != holds_.end();) {
    // The instant of its end is its last.
    if (it->second.until < now) {
      it = holds_.erase(it);
      continue;
    }
    for (const int content : it->second.here) {
      if (IsHere(content)) continue;
      return absl::StrCat("taken: ", content, ", which ", it->first, " keeps");
    }
    ++it;
  }
  for (const auto& [content, time] : uploaded_) {
    if (time + kGrace > now && !IsHere(content)) {
      return absl::StrCat("taken: ", content,
                          ", which was uploaded within the grace period");
    }
  }
  return "";
}

std::string Promises::Check(absl::Time now) {
  ForgetLost();
  if (broken_.empty()) broken_ = CheckTags();
  if (broken_.empty()) broken_ = CheckKept(now);
  return broken_;
}

std::string Promises::CheckEnd(absl::Time now) const {
  std::set<int> kept;
  for (const auto& [name, tag] : tags_) {
    const int manifest = NumberOf(tag.digest);
    Reach(manifest, /*with_referrers=*/true, &kept);
    std::string missing = Missing(name, manifest, /*may_be_away=*/false);
    if (!missing.empty()) return absl::StrCat("in the end: ", missing);
    std::set<int> whole;
    if (IsServed(name, manifest)) Reach(manifest, false, &whole);
    for (const int content : whole) {
      if (IsHere(content)) continue;
      return absl::StrCat("in the end lost: the bytes of ", content,
                          " below the tag ", NameOf(name));
    }
  }
  for (const auto& [holder, held] : holds_) {
    if (held.until >= now) Reach(held.content, true, &kept);
  }
  for (const auto& [digest, file] : disk_.blobs) {
    if (kept.count(NumberOf(digest)) > 0) continue;
    return absl::StrCat("garbage is left: ", NumberOf(digest));
  }
  if (disk_.quarantine.empty()) return "";
  return absl::StrCat("left in quarantine: ",
                      store::ToString(disk_.quarantine.begin()->first.second));
}

}  // namespace reclaim::simulation

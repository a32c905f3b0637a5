#include "tests/model/machine_twin.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "store/testing/store_tree.h"

namespace reclaim::tests {
namespace {

constexpr int kLayerCount = 5;
constexpr int kImageCount = 5;
constexpr uint64_t kBlockBytes = 4096;

class Builder {
 public:
  int Add(std::string bytes) {
    MachineContent content;
    content.digest = oci::Digest::Sha256Of(bytes);
    content.bytes = std::move(bytes);
    all_.push_back(std::move(content));
    return static_cast<int>(all_.size()) - 1;
  }
  // `children`: the config, then layers.
  int AddImage(std::vector<int> children, int subject) {
    std::vector<oci::Digest> digests;
    for (const int child : children) digests.push_back(all_[child].digest);
    const int image = Add(store::ImageText(
        digests, subject < 0 ? oci::Digest() : all_[subject].digest));
    all_[image].is_manifest = true;
    all_[image].children = std::move(children);
    all_[image].subject = subject;
    return image;
  }
  int AddIndex(std::vector<int> children) {
    std::vector<oci::Digest> digests;
    for (const int child : children) digests.push_back(all_[child].digest);
    const int index = Add(store::IndexText(digests));
    all_[index].is_manifest = true;
    all_[index].children = std::move(children);
    return index;
  }
  std::vector<MachineContent> Take() { return std::move(all_); }

 private:
  std::vector<MachineContent> all_;
};

std::vector<MachineContent> Build() {
  Builder builder;
  std::vector<int> layers;
  for (const int size : {10, 4096, 5000, 1, 9000}) {
    layers.push_back(builder.Add(std::string(size, 'l')));
  }
  std::vector<int> images;
  for (int i = 0; i < kImageCount; ++i) {
    const int config = builder.Add(absl::StrCat(
        R"({"architecture":"amd64","os":"linux","number":)", i, "}"));
    images.push_back(builder.AddImage(
        {config, layers[i], layers[(i + 1) % kLayerCount]}, -1));
  }
  const int index = builder.AddIndex({images[0], images[1]});
  builder.AddIndex({images[1], images[2]});
  const int empty = builder.Add("{}");
  builder.AddImage({empty, builder.Add("signature")}, images[0]);
  builder.AddImage({empty, builder.Add("bill of materials")}, index);
  return builder.Take();
}

}  // namespace

const std::vector<MachineContent>& AllMachineContent() {
  static const auto* const all = new std::vector<MachineContent>(Build());
  return *all;
}

const std::vector<int>& MachineManifests() {
  static const auto* const manifests = [] {
    auto* const ids = new std::vector<int>();
    for (size_t i = 0; i < AllMachineContent().size(); ++i) {
      if (AllMachineContent()[i].is_manifest) {
        ids->push_back(static_cast<int>(i));
      }
    }
    return ids;
  }();
  return *manifests;
}

std::set<int> MachineTwin::MadeOf(int content, bool with_referrers) const {
  std::set<int> made_of = {content};
  std::vector<int> todo = {content};
  const auto add = [&](int id) {
    if (made_of.insert(id).second) todo.push_back(id);
  };
  while (!todo.empty()) {
    const int id = todo.back();
    todo.pop_back();
    if (known_.count(id) != 0) {
      for (const int child : AllMachineContent()[id].children) add(child);
    }
    for (const int other : MachineManifests()) {
      if (with_referrers && known_.count(other) != 0 &&
          AllMachineContent()[other].subject == id) {
        add(other);
      }
    }
  }
  return made_of;
}

void MachineTwin::TakeBack(int content, const Run* also_strangers_of) {
  for (Run& run : runs_) {
    size_t copies = run.items.erase(content);
    if (also_strangers_of == nullptr || also_strangers_of == &run) {
      copies += run.strangers.erase(content);
    }
    if (copies == 0) continue;
    // The oldest run's comes back; the others wait for their purge.
    if (!present_.insert(content).second) run.superseded.insert(content);
  }
}

void MachineTwin::GiveBack(int content, bool with_referrers,
                           const Run* also_strangers_of) {
  const std::set<int> known = quarantined();
  for (const int id : MadeOf(content, with_referrers)) {
    if (known.count(id) != 0) TakeBack(id, also_strangers_of);
  }
}

void MachineTwin::Push(int manifest, const std::string& tag) {
  const MachineContent& content = AllMachineContent()[manifest];
  present_.insert(manifest);
  known_.insert(manifest);
  for (const int child : content.children) {
    if (!AllMachineContent()[child].is_manifest) present_.insert(child);
  }
  const std::set<int> known = quarantined();
  for (const int id : std::set<int>(present_)) {
    if (known.count(id) != 0) TakeBack(id, nullptr);
  }
  GiveBack(manifest, true);
  if (!tag.empty()) tags_[tag] = manifest;
  ReturnNamed();
}

void MachineTwin::Untag(const std::string& tag) {
  tags_.erase(tag);
  ReturnNamed();
}

bool MachineTwin::IsNamed(int content) const {
  if (ReachedAnywhere().count(content) != 0) return true;
  const std::vector<int>& manifests = MachineManifests();
  return std::any_of(manifests.begin(), manifests.end(), [&](int id) {
    const std::vector<int>& children = AllMachineContent()[id].children;
    return present_.count(id) != 0 &&
           std::find(children.begin(), children.end(), content) !=
               children.end();
  });
}

void MachineTwin::ReturnNamed() {
  bool has_returned = false;
  do {
    has_returned = false;
    for (Run& run : runs_) {
      const std::set<int> strangers = run.strangers;
      for (const int id : strangers) {
        if (present_.count(id) != 0 || !IsNamed(id)) continue;
        run.strangers.erase(id);
        present_.insert(id);
        known_.insert(id);
        if (AllMachineContent()[id].is_manifest) GiveBack(id, true);
        has_returned = true;
      }
    }
  } while (has_returned);
}

void MachineTwin::Pin(int content) {
  pins_.insert(content);
  GiveBack(content, true);
}

void MachineTwin::Lease(int content, int64_t hours) {
  leases_[content] = now_hours_ + hours;
  GiveBack(content, true);
}

void MachineTwin::Prune() {
  Run run;
  run.begun_hours = now_hours_;
  run.items = Dead();
  for (const int id : run.items) present_.erase(id);
  runs_.push_back(std::move(run));
}

// Those of a run whose own copy a restore brings: the store has none, and no
// older run does.
std::set<int> MachineTwin::StrangersThatReturn(size_t run) const {
  std::set<int> returning = runs_[run].strangers;
  for (const int id : present_) returning.erase(id);
  for (size_t older = 0; older < run; ++older) {
    for (const int id : runs_[older].items) returning.erase(id);
  }
  return returning;
}

// What the run still holds, and what that is made of.
void MachineTwin::Restore(size_t run) {
  std::set<int> taken = runs_[run].items;
  taken.insert(runs_[run].strangers.begin(), runs_[run].strangers.end());
  const std::set<int> read = StrangersThatReturn(run);
  for (const int id : taken) GiveBack(id, false, &runs_[run]);
  // The store has it again: this copy waits for its purge.
  for (const int id : runs_[run].strangers) {
    if (present_.count(id) != 0) runs_[run].superseded.insert(id);
  }
  present_.insert(runs_[run].strangers.begin(), runs_[run].strangers.end());
  known_.insert(runs_[run].strangers.begin(), runs_[run].strangers.end());
  runs_[run].strangers.clear();
  // The next scan reads them, and what they reference comes back.
  for (const int id : read) {
    if (AllMachineContent()[id].is_manifest) GiveBack(id, true);
  }
  ReturnNamed();
}

void MachineTwin::Purge(int64_t quarantine_hours) {
  ReturnNamed();
  for (Run& run : runs_) {
    if (run.begun_hours + quarantine_hours > now_hours_) continue;
    run.items.clear();
    // What was found has a period of its own, named or not by now.
    if (run.found_hours + quarantine_hours > now_hours_) continue;
    run.superseded.clear();
    // What something names has come back.
    run.strangers.clear();
  }
}

void MachineTwin::LoseDatabase() {
  pins_.clear();
  leases_.clear();
  known_ = present_;
  for (Run& run : runs_) {
    run.strangers.insert(run.items.begin(), run.items.end());
    run.strangers.insert(run.superseded.begin(), run.superseded.end());
    run.items.clear();
    run.superseded.clear();
    run.found_hours = now_hours_;
  }
  ReturnNamed();
}

// What is not here is reached all the same, and through it its referrers and,
// if its bytes were ever seen, what it consists of.
void MachineTwin::Reach(int content, std::set<int>* reached) const {
  if (!reached->insert(content).second || known_.count(content) == 0) return;
  for (const int child : AllMachineContent()[content].children) {
    Reach(child, reached);
  }
}

std::set<int> MachineTwin::ReachedAnywhere() const {
  std::set<int> reached;
  for (const auto& [tag, content] : tags_) Reach(content, &reached);
  for (const int content : pins_) Reach(content, &reached);
  for (const auto& [content, end] : leases_) {
    if (end >= now_hours_) Reach(content, &reached);
  }
  size_t before = 0;
  do {
    before = reached.size();
    for (const int id : MachineManifests()) {
      const int subject = AllMachineContent()[id].subject;
      if (subject >= 0 && known_.count(id) != 0 &&
          reached.count(subject) != 0) {
        Reach(id, &reached);
      }
    }
  } while (reached.size() != before);
  return reached;
}

std::set<int> MachineTwin::Reached() const {
  std::set<int> here;
  for (const int id : ReachedAnywhere()) {
    if (present_.count(id) != 0) here.insert(id);
  }
  return here;
}

std::set<int> MachineTwin::Dead() const {
  std::set<int> dead = present_;
  for (const int id : Reached()) dead.erase(id);
  return dead;
}

bool MachineTwin::HasCopies() const {
  return std::any_of(runs_.begin(), runs_.end(), [](const Run& run) {
    return !run.strangers.empty() || !run.superseded.empty();
  });
}

bool MachineTwin::Quarantines(int content) const {
  return quarantined().count(content) != 0;
}

std::set<int> MachineTwin::quarantined() const {
  std::set<int> all;
  for (const Run& run : runs_) all.insert(run.items.begin(), run.items.end());
  return all;
}

uint64_t MachineTwin::LogicalBytes(const std::set<int>& contents) const {
  uint64_t sum = 0;
  for (const int id : contents) sum += AllMachineContent()[id].bytes.size();
  return sum;
}

uint64_t MachineTwin::AllocatedBytes(const std::set<int>& contents) const {
  uint64_t sum = 0;
  for (const int id : contents) {
    const uint64_t bytes = AllMachineContent()[id].bytes.size();
    sum += (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  }
  return sum;
}

}  // namespace reclaim::tests

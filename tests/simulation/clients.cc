#include "tests/simulation/clients.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "oci/digest.h"

namespace reclaim::simulation {

std::string Client::AnyRepository() {
  return kRepositories[Below(site_.random, std::size(kRepositories))];
}

bool Client::HasLayer(const std::string& repository, int content) const {
  return site_.disk->links.count(LinkTo(repository, content)) > 0 &&
         site_.disk->blobs.count(ContentOf(content).digest) > 0;
}

void Client::First(std::vector<StepBody> steps) {
  steps_.insert(steps_.begin(), std::make_move_iterator(steps.begin()),
                std::make_move_iterator(steps.end()));
}

std::string Client::Begin() {
  RECLAIM_CHECK(IsIdle(), "one thing after the other");
  const std::string repository = AnyRepository();
  const int manifest =
      (*site_.wanted)[Below(site_.random, site_.wanted->size())];
  // A referrer is found by what it refers to.
  const bool is_referrer = ContentOf(manifest).subject >= 0;
  const size_t draw = Below(site_.random, 12);
  std::string tag = absl::StrCat("t", Below(site_.random, 3));
  const std::string what =
      absl::StrCat(" ", manifest, " in ", repository, " as ", tag);
  if (draw < 7) {
    const bool is_untagged = is_referrer || draw == 0;
    Push(repository, manifest, is_untagged ? "" : tag);
    return "pushes" + what;
  }
  if (draw < 9) {
    // As a client does who was told that all of it is there.
    if (!is_referrer) Put(repository, manifest, tag);
    return "puts" + what;
  }
  if (draw < 11) {
    Untag({repository, tag});
    return "untags" + what;
  }
  DeleteManifest(repository, manifest);
  return "deletes" + what;
}

void Client::Step() {
  RECLAIM_CHECK(!IsIdle(), "an idle client has no step");
  const StepBody step = std::move(steps_.front());
  steps_.pop_front();
  step();
  if (IsIdle()) looked_.reset();
}

void Client::GiveUp() {
  steps_.clear();
  looked_.reset();
}

void Client::Refuse() {
  ++refused_count_;
  steps_.clear();
}

void Client::Push(const std::string& repository, int manifest,
                  const std::string& tag) {
  for (const int child : ContentOf(manifest).children) {
    if (ContentOf(child).is_manifest) {
      Push(repository, child, "");
    } else {
      Upload(repository, child);
    }
  }
  Put(repository, manifest, tag);
}

std::vector<Client::StepBody> Client::SendingSteps(
    const std::string& repository, int content) {
  return {[this, content] { WriteFile(content); },
          [this, repository, content] {
            site_.disk->links[LinkTo(repository, content)] = Now();
          }};
}

void Client::Upload(const std::string& repository, int content) {
  switch (Below(site_.random, 3)) {
    case 0:
      for (StepBody& step : SendingSteps(repository, content)) {
        Then(std::move(step));
      }
      return;
    case 1:
      // Only what is not there.
      Then([this, repository, content] {
        if (HasLayer(repository, content)) return;
        First(SendingSteps(repository, content));
      });
      return;
    default: {
      const std::string from = AnyRepository();
      Then([this, repository, from, content] {
        std::vector<StepBody> steps = SendingSteps(repository, content);
        // A mount writes the link alone.
        if (HasLayer(from, content)) steps.erase(steps.begin());
        First(std::move(steps));
      });
      return;
    }
  }
}

void Client::Put(const std::string& repository, int manifest,
                 const std::string& tag) {
  for (const int child : ContentOf(manifest).children) {
    Then([this, repository, child] {
      if (!looked_) looked_ = Now();
      if (site_.disk->links.count(LinkTo(repository, child)) == 0) Refuse();
    });
    Then([this, child] {
      if (site_.disk->blobs.count(ContentOf(child).digest) == 0) Refuse();
    });
  }
  Then([this, manifest] { WriteFile(manifest); });
  Then([this, repository, manifest, tag] {
    const Disk::LinkName link = LinkTo(repository, manifest);
    site_.disk->links[link] = Now();
    site_.promises->Linked(link);
    // Another PUT may follow.
    if (tag.empty()) looked_.reset();
  });
  if (tag.empty()) return;
  Then([this, repository, manifest, tag] {
    WriteTag({repository, tag}, manifest);
  });
}

// A registry keeps the file that it has.
void Client::WriteFile(int content) {
  const tests::MachineContent& of = ContentOf(content);
  const bool is_new =
      site_.disk->blobs.try_emplace(of.digest, Disk::File{of.bytes, Now()})
          .second;
  if (is_new) site_.promises->Uploaded(content, Now());
}

void Client::WriteTag(const Disk::TagName& name, int manifest) {
  site_.disk->tags[name] = {ContentOf(manifest).digest, Now()};
  site_.promises->Tagged(name);
  ++accepted_count_;
}

void Client::RemoveTag(const Disk::TagName& name) {
  if (site_.disk->tags.erase(name) > 0) site_.promises->Untagged(name);
}

void Client::Untag(const Disk::TagName& name) {
  Then([this, name] { RemoveTag(name); });
}

// Tags are removed that named it when they were listed, whatever they name now.
void Client::DeleteManifest(const std::string& repository, int manifest) {
  const Disk::LinkName link = LinkTo(repository, manifest);
  Then([this, link] {
    if (site_.disk->links.erase(link) > 0) {
      site_.promises->Unlinked(link);
    } else {
      steps_.clear();  // no such manifest
    }
  });
  Then([this, repository, manifest] {
    std::vector<StepBody> steps;
    for (const auto& [name, tag] : site_.disk->tags) {
      if (name.first != repository ||
          tag.digest != ContentOf(manifest).digest) {
        continue;
      }
      steps.push_back([this, name = name] { RemoveTag(name); });
    }
    First(std::move(steps));
  });
}

}  // namespace reclaim::simulation

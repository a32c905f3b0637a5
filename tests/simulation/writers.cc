#include "tests/simulation/writers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace reclaim::simulation {

using store::MembershipKind;

Writer::Writer(WriterKind kind, Image image, const RegistryTerms& registry,
               Disk* disk)
    : kind_(kind),
      image_(std::move(image)),
      digest_(oci::Digest::Sha256Of(image_.manifest)),
      registry_(registry),
      disk_(*disk),
      is_manifest_remembered_(registry.remembers &&
                              disk->blobs.count(digest_) > 0) {
  at_.is_refused = kind == WriterKind::kNone;
}

bool Writer::CallsDaemon() const {
  return IsPull() || (kind_ == WriterKind::kRecords && at_.step != 1);
}

void Writer::Look() {
  at_.has_looked = true;
  if (registry_.remembers) return;
  do {
    LookAt(at_.looked_count++);
  } while (!registry_.looks_in_steps && at_.looked_count < LookCount());
  // The same stage is next.
  if (at_.looked_count < LookCount()) --at_.step;
}

// Of each blob first the link, then the file.
void Writer::LookAt(int number) {
  const oci::Digest& blob = image_.blobs[number / 2];
  const bool is_there =
      number % 2 == 0 ? disk_.HasLink(kRepository, blob, MembershipKind::kLayer)
                      : disk_.blobs.count(blob) > 0;
  if (!is_there) at_.is_refused = true;
}

// A registry that remembers a manifest does not look whether it is there.
void Writer::WriteManifest(absl::Time now) {
  if (is_manifest_remembered_) return;
  disk_.blobs.try_emplace(digest_, Disk::File{image_.manifest, now});
}

void Writer::Ask(index::ReferenceGraph* graph) {
  at_.has_looked = true;
  for (const oci::Digest& blob : image_.blobs) {
    const auto is_here = graph->CheckExists({"s", "", blob}, "writer");
    // A daemon that is down promises nothing.
    if (!is_here.ok() || !*is_here) at_.is_refused = true;
  }
  const auto has_manifest = graph->CheckExists({"s", "", digest_}, "writer");
  at_.has_manifest = has_manifest.ok() && *has_manifest;
}

void Writer::Record(index::ReferenceGraph* graph) {
  index::Mutation mutation;
  mutation.actor = "writer";
  index::PutManifest manifest;
  manifest.name = {"s", "", digest_};
  manifest.bytes = image_.manifest;
  index::PutTag tag;
  tag.store = "s";
  tag.repository = kRepository;
  tag.tag = image_.tag;
  tag.digest = digest_;
  mutation.operations = {manifest, tag};
  const bool is_recorded =
      graph->Apply(mutation, index::Durability::kDurable).ok();
  at_.is_accepted = is_recorded;
  at_.is_refused = !is_recorded;
}

void Writer::Pull(absl::Time now, index::ReferenceGraph* graph) {
  index::Touch touch;
  touch.name.store = "s";
  touch.repository = kRepository;
  touch.tag = "live";
  touch.use = index::UseKind::kPulled;
  touch.time = now;
  index::Mutation mutation;
  mutation.actor = "registry";
  mutation.operations = {touch};
  // A daemon that is down is told later, or never.
  at_.is_accepted = graph->Apply(mutation, index::Durability::kDurable).ok();
  at_.is_refused = !at_.is_accepted;
}

void Writer::Step(absl::Time now, index::ReferenceGraph* graph) {
  RECLAIM_CHECK(!IsDone(), "a writer that is done has no step left");
  const int step = at_.step++;
  if (IsPull()) {
    Pull(now, graph);
    return;
  }
  if (kind_ == WriterKind::kRecords) {
    if (step == 0) Ask(graph);
    if (step == 1 && !at_.has_manifest) {
      disk_.blobs[digest_] = {image_.manifest, now};
    }
    if (step == 2) Record(graph);
    return;
  }
  const oci::Digest layer = oci::Digest::Sha256Of(image_.layer);
  switch (StageOf(step)) {
    case kPutBlob:
      disk_.blobs.try_emplace(layer, Disk::File{image_.layer, now});
      break;
    case kPutLink:
      disk_.links[{kRepository, layer, MembershipKind::kLayer}] = now;
      break;
    case kLook:
      Look();
      break;
    case kManifest:
      WriteManifest(now);
      break;
    case kRevision:
      disk_.links[{kRepository, digest_, MembershipKind::kRevision}] = now;
      break;
    case kTag:
      disk_.tags[{kRepository, image_.tag}] = {digest_, now};
      at_.is_accepted = true;
      break;
    case kEnd:
      break;
  }
}

Writer::Stage Writer::StageOf(int step) const {
  const int stage = kind_ == WriterKind::kUploads ? step : step + kLook;
  return static_cast<Stage>(std::min<int>(stage, kEnd));
}

void Writer::AddAccesses(Stage stage, std::vector<Access>* out) const {
  using Part = Access::Part;
  const std::string layer = oci::Digest::Sha256Of(image_.layer).hex();
  switch (stage) {
    case kPutBlob:
      out->push_back({Part::kBlobs, true, layer});
      break;
    case kPutLink:
      out->push_back({Part::kLayerLinks, true, layer});
      break;
    case kLook:
      for (int i = at_.looked_count; i < LookCount(); ++i) {
        out->push_back({i % 2 == 0 ? Part::kLayerLinks : Part::kBlobs, false,
                        image_.blobs[i / 2].hex()});
      }
      break;
    case kManifest:
      out->push_back({Part::kBlobs, true, digest_.hex()});
      break;
    case kRevision:
      out->push_back({Part::kRevisionLinks, true, digest_.hex()});
      break;
    case kTag:
      out->push_back({Part::kTags, true, image_.tag});
      break;
    case kEnd:
      break;
  }
}

std::vector<Access> Writer::NextAccesses() const {
  std::vector<Access> accesses;
  if (IsDone() || IsPull()) return accesses;
  const Stage stage = StageOf(at_.step);
  AddAccesses(stage, &accesses);
  if (stage == kLook && registry_.looks_in_steps) {
    accesses.erase(accesses.begin() + 1, accesses.end());
  }
  return accesses;
}

std::vector<Access> Writer::LaterAccesses() const {
  std::vector<Access> accesses;
  if (IsDone() || IsPull()) return accesses;
  for (int stage = StageOf(at_.step); stage < kEnd; ++stage) {
    AddAccesses(static_cast<Stage>(stage), &accesses);
  }
  return accesses;
}

std::string Writer::ToText() const {
  return absl::StrCat(at_.step, at_.looked_count, at_.has_looked,
                      at_.has_manifest, at_.is_refused, at_.is_accepted, ";");
}

std::string Writer::Missing() const {
  if (!at_.is_accepted || IsPull()) return "";
  for (const oci::Digest& blob : image_.blobs) {
    if (disk_.blobs.count(blob) == 0) {
      return absl::StrCat("the bytes of ", blob.Short());
    }
    if (kind_ != WriterKind::kRecords &&
        !disk_.HasLink(kRepository, blob, MembershipKind::kLayer)) {
      return absl::StrCat("the link to ", blob.Short());
    }
  }
  if (disk_.blobs.count(digest_) == 0) return "the bytes of the manifest";
  if (kind_ == WriterKind::kRecords) return "";
  if (!disk_.HasLink(kRepository, digest_, MembershipKind::kRevision)) {
    return "the link to the manifest";
  }
  const auto tag = disk_.tags.find({kRepository, image_.tag});
  if (tag == disk_.tags.end() || tag->second.digest != digest_) {
    return "the tag";
  }
  return "";
}

}  // namespace reclaim::simulation

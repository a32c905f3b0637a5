#include "tests/simulation/writers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace reclaim::simulation {

using store::MembershipKind;

Writer::Writer(WriterKind kind, Image image, bool remembers, Disk* disk)
    : kind_(kind),
      image_(std::move(image)),
      digest_(oci::Digest::Sha256Of(image_.manifest)),
      remembers_(remembers),
      disk_(*disk),
      is_refused_(kind == WriterKind::kNone) {}

bool Writer::CallsDaemon() const {
  return kind_ == WriterKind::kRecords && step_ != 1;
}

void Writer::Look() {
  has_looked_ = true;
  if (remembers_) return;
  for (const oci::Digest& blob : image_.blobs) {
    if (!disk_.HasLink(kRepository, blob, MembershipKind::kLayer) ||
        disk_.blobs.count(blob) == 0) {
      is_refused_ = true;
    }
  }
}

// A registry that remembers a manifest does not look whether it is there.
void Writer::WriteManifest(absl::Time now) {
  disk_.blobs.try_emplace(digest_, Disk::File{image_.manifest, now});
}

void Writer::Ask(index::ReferenceGraph* graph) {
  has_looked_ = true;
  for (const oci::Digest& blob : image_.blobs) {
    const auto is_here = graph->CheckExists({"s", "", blob}, "writer");
    // A daemon that is down promises nothing.
    if (!is_here.ok() || !*is_here) is_refused_ = true;
  }
  const auto has_manifest = graph->CheckExists({"s", "", digest_}, "writer");
  has_manifest_ = has_manifest.ok() && *has_manifest;
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
  is_accepted_ = is_recorded;
  is_refused_ = !is_recorded;
}

void Writer::Step(absl::Time now, index::ReferenceGraph* graph) {
  RECLAIM_CHECK(!IsDone(), "a writer that is done has no step left");
  const int step = step_++;
  if (kind_ == WriterKind::kRecords) {
    if (step == 0) Ask(graph);
    if (step == 1 && !has_manifest_) {
      disk_.blobs[digest_] = {image_.manifest, now};
    }
    if (step == 2) Record(graph);
    return;
  }
  const oci::Digest layer = oci::Digest::Sha256Of(image_.layer);
  switch (kind_ == WriterKind::kUploads ? step : step + 2) {
    case 0:
      disk_.blobs.try_emplace(layer, Disk::File{image_.layer, now});
      break;
    case 1:
      disk_.links[{kRepository, layer, MembershipKind::kLayer}] = now;
      break;
    case 2:
      Look();
      break;
    case 3:
      WriteManifest(now);
      break;
    case 4:
      disk_.links[{kRepository, digest_, MembershipKind::kRevision}] = now;
      break;
    case 5:
      disk_.tags[{kRepository, image_.tag}] = {digest_, now};
      is_accepted_ = true;
      break;
  }
}

std::string Writer::ToText() const {
  return absl::StrCat(step_, has_looked_, has_manifest_, is_refused_,
                      is_accepted_, ";");
}

std::string Writer::Missing() const {
  if (!is_accepted_) return "";
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

#include "store/memory_content.h"

#include <utility>

namespace reclaim::store {
namespace {

Removal BlobAt(const Place& place, const oci::Digest& digest) {
  Removal what;
  what.kind = RemovalKind::kBlob;
  what.place = place;
  what.digest = digest;
  return what;
}

Removal NamedAt(RemovalKind kind, const std::string& repository,
                const oci::Digest& digest) {
  Removal what;
  what.kind = kind;
  what.repository = repository;
  what.digest = digest;
  return what;
}

}  // namespace

MemoryContent::Key MemoryContent::KeyOf(const Removal& what) {
  const bool is_moving = what.kind == RemovalKind::kTag || !what.digest;
  return {what.kind,       what.kind == RemovalKind::kBlob ? what.place : "",
          what.repository, what.tag,
          what.upload_id,  is_moving ? oci::Digest() : *what.digest};
}

void MemoryContent::Put(const Removal& what, Thing thing) {
  base::MutexLock lock(&mutex_);
  things_[KeyOf(what)] = std::move(thing);
  effects_.push_back({MemoryEffect::Kind::kWritten, "", what});
}

void MemoryContent::PutRepository(const std::string& repository,
                                  const Place& place) {
  base::MutexLock lock(&mutex_);
  repositories_[repository] = place;
}

oci::Digest MemoryContent::PutBlob(const Place& place, const std::string& bytes,
                                   absl::Time modified) {
  const oci::Digest digest = oci::Digest::Sha256Of(bytes);
  Put(BlobAt(place, digest), {bytes, digest, modified});
  return digest;
}

void MemoryContent::PutTag(const std::string& repository,
                           const std::string& tag, const oci::Digest& digest,
                           absl::Time modified) {
  Removal what = NamedAt(RemovalKind::kTag, repository, digest);
  what.tag = tag;
  Put(what, {"", digest, modified});
}

void MemoryContent::PutLink(const std::string& repository,
                            const oci::Digest& digest, MembershipKind kind,
                            absl::Time modified) {
  Put(NamedAt(kind == MembershipKind::kRevision ? RemovalKind::kRevisionLink
                                                : RemovalKind::kLayerLink,
              repository, digest),
      {"", digest, modified});
}

void MemoryContent::PutUpload(const std::string& repository,
                              const std::string& id, const std::string& bytes,
                              absl::Time started) {
  Removal what;
  what.kind = RemovalKind::kUpload;
  what.repository = repository;
  what.upload_id = id;
  Put(what, {bytes, {}, started});
}

void MemoryContent::Remove(const Removal& what) {
  base::MutexLock lock(&mutex_);
  things_.erase(KeyOf(what));
}

void MemoryContent::Damage(const Place& place, const oci::Digest& digest,
                           const std::string& bytes) {
  base::MutexLock lock(&mutex_);
  things_[KeyOf(BlobAt(place, digest))].bytes = bytes;
}

std::vector<MemoryEffect> MemoryContent::Effects() const {
  base::MutexLock lock(&mutex_);
  return effects_;
}

std::shared_ptr<MemoryContent> MemoryContentOf(absl::string_view name) {
  static base::Mutex* const kMutex = new base::Mutex;
  static auto* const kContents =
      new std::map<std::string, std::shared_ptr<MemoryContent>>;
  base::MutexLock lock(kMutex);
  std::shared_ptr<MemoryContent>& content = (*kContents)[std::string(name)];
  if (content == nullptr) content = std::make_shared<MemoryContent>();
  return content;
}

}  // namespace reclaim::store

#include "index/digest_shelf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace reclaim::index {
namespace {

// Of a file that has no name and goes with the process; -1 if there can be
// none.
int OpenNameless(const std::string& folder) {
  const int file = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  // Not every file system has them.
  std::string path = folder + "/digests-XXXXXX";
  const int named = mkostemp(path.data(), O_CLOEXEC);
  if (named < 0) return -1;
  if (unlink(path.c_str()) == 0) return named;
  close(named);
  return -1;
}

}  // namespace

DigestShelf::DigestShelf(const std::string& folder,
                         std::function<uint64_t()> free_bytes)
    : file_(folder.empty() ? -1 : OpenNameless(folder)),
      free_bytes_(std::move(free_bytes)) {}

DigestShelf::~DigestShelf() {
  if (file_ >= 0) close(file_);
}

bool DigestShelf::HasSpace() const {
  if (free_bytes_) return free_bytes_() >= kFreeBytesMin;
  struct statvfs st;
  return fstatvfs(file_, &st) == 0 &&
         uint64_t{st.f_bavail} * st.f_frsize >= kFreeBytesMin;
}

bool DigestShelf::Write(uint64_t offset, const char* bytes, size_t size) const {
  size_t done = 0;
  while (done < size) {
    const ssize_t count = pwrite(file_, bytes + done, size - done,
                                 static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

bool DigestShelf::Read(uint64_t offset, char* bytes, size_t size) const {
  size_t done = 0;
  while (done < size) {
    const ssize_t count = pread(file_, bytes + done, size - done,
                                static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

void DigestShelf::MoveOut() {
  if (file_ < 0 || kept_.size() <= kKeptChunks || !HasSpace()) return;
  size_t moved = 0;
  for (; kept_.size() - moved > kKeptChunks; ++moved) {
    const size_t chunk = kept_[moved];
    // What the disk does not take stays here, and is tried again.
    if (!Write(chunk * kChunkBytes, chunks_[chunk].get(), kChunkBytes)) break;
    file_bytes_ = std::max<uint64_t>(file_bytes_, (chunk + 1) * kChunkBytes);
    chunks_[chunk].reset();
  }
  kept_.erase(kept_.begin(), kept_.begin() + static_cast<ptrdiff_t>(moved));
}

void DigestShelf::Put(NodeId id, const char* bytes) {
  const size_t chunk = id / kChunkIds;
  if (chunk >= chunks_.size()) {
    MoveOut();
    while (chunk >= chunks_.size()) {
      kept_.push_back(chunks_.size());
      chunks_.push_back(std::make_unique<char[]>(kChunkBytes));
    }
  }
  if (chunks_[chunk] != nullptr) {
    std::memcpy(chunks_[chunk].get() + id % kChunkIds * kSize, bytes, kSize);
  } else if (Write(uint64_t{id} * kSize, bytes, kSize)) {
    beside_.erase(id);
  } else {
    std::memcpy(beside_[id].data(), bytes, kSize);
  }
}

bool DigestShelf::Get(NodeId id, Bytes* bytes) const {
  const size_t chunk = id / kChunkIds;
  if (chunk >= chunks_.size()) {
    bytes->fill(0);
    return true;
  }
  if (chunks_[chunk] != nullptr) {
    std::memcpy(bytes->data(), chunks_[chunk].get() + id % kChunkIds * kSize,
                kSize);
    return true;
  }
  if (!beside_.empty()) {
    const auto it = beside_.find(id);
    if (it != beside_.end()) {
      *bytes = it->second;
      return true;
    }
  }
  return Read(uint64_t{id} * kSize, bytes->data(), kSize);
}

}  // namespace reclaim::index

// index/digest_shelf.h — private to the resident graph: digests by node id, in
// a file instead of in memory.
//
// A digest is read where one is printed or compared with another; at ten
// million nodes they are a quarter of all that is resident.  So they lie in a
// file without a name, which ends with the process: the records have them too.
// Those that were put last are in memory, all of them where there is no folder,
// no space or no file system for it: the database comes first.

#ifndef RECLAIM_INDEX_DIGEST_SHELF_H_
#define RECLAIM_INDEX_DIGEST_SHELF_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "index/node.h"

namespace reclaim::index {

class DigestShelf {
 public:
  static constexpr size_t kSize = 32;
  using Bytes = std::array<char, kSize>;
  // What must be left free beside the file: the database needs it.
  static constexpr uint64_t kFreeBytesMin = uint64_t{256} << 20;

  // `folder` "" keeps everything in memory.  `free_bytes` says how many are
  // free where the file is; null asks the file system.
  explicit DigestShelf(const std::string& folder,
                       std::function<uint64_t()> free_bytes = nullptr);
  ~DigestShelf();
  DigestShelf(const DigestShelf&) = delete;
  DigestShelf& operator=(const DigestShelf&) = delete;

  // Nobody may read meanwhile.
  void Put(NodeId id, const char* bytes);
  // False if the disk does not give it back.  Zeros if nothing was put.
  // Several may ask at once.
  bool Get(NodeId id, Bytes* bytes) const;

  // Of the file, and of what is in memory.
  uint64_t file_bytes() const { return file_bytes_; }
  uint64_t memory_bytes() const { return kept_.size() * kChunkBytes; }

 private:
  static constexpr uint32_t kChunkIds = 4096;
  static constexpr size_t kChunkBytes = kChunkIds * kSize;
  // Ids are given in order; a few writers may still be at the chunk before.
  static constexpr size_t kKeptChunks = 2;

  // Writes all chunks but the last ones to the file.
  void MoveOut();
  bool Write(uint64_t offset, const char* bytes, size_t size) const;
  bool Read(uint64_t offset, char* bytes, size_t size) const;
  bool HasSpace() const;

  int file_ = -1;
  const std::function<uint64_t()> free_bytes_;
  // By number of the chunk; null for one that is in the file.
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::vector<size_t> kept_;  // chunks that are in memory, ascending
  // What could not be put where it belongs.
  absl::flat_hash_map<NodeId, Bytes> beside_;
  uint64_t file_bytes_ = 0;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_DIGEST_SHELF_H_

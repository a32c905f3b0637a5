// store/folder_size.h — private to engine drivers: how large a folder is.

#ifndef RECLAIM_STORE_FOLDER_SIZE_H_
#define RECLAIM_STORE_FOLDER_SIZE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace reclaim::store {

// Each inode once; links are not followed, other file systems not entered.
struct FolderSize {
  uint64_t file_bytes = 0;       // regular files, as their readers see them
  uint64_t allocated_bytes = 0;  // blocks, of folders as well
};

// Zero if nothing is there or it can't be read.
FolderSize SizeOfFolder(const std::string& path);

// The names in a folder, in no order; none if it can't be read.
std::vector<std::string> NamesIn(const std::string& folder);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_FOLDER_SIZE_H_

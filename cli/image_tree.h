// cli/image_tree.h — `image ls --tree`: images with the platforms below them.

#ifndef RECLAIM_CLI_IMAGE_TREE_H_
#define RECLAIM_CLI_IMAGE_TREE_H_

#include <string>
#include <vector>

#include "cli/session.h"
#include "reclaim/v1/usage.pb.h"

namespace reclaim::cli {

// Docker's shape: IMAGE, ID, DISK USAGE, CONTENT SIZE, EXTRA ("U": a container
// uses it); children behind ├─ and └─.  With --json a line "image_tree_node"
// each.  Asks once for each image index.
int PrintImageTree(Session* session, const v1::ListImagesRequest& request);

// Cells in columns; the sizes (columns 2 and 3) to the right.
std::string AlignTree(const std::vector<std::vector<std::string>>& lines);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_IMAGE_TREE_H_

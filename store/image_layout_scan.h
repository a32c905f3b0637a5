// store/image_layout_scan.h — private: finding and walking image layouts.
//
// A layout has a section of blobs, known by the folders below blobs/, and its
// names, known by oci-layout and index.json.

#ifndef RECLAIM_STORE_IMAGE_LAYOUT_SCAN_H_
#define RECLAIM_STORE_IMAGE_LAYOUT_SCAN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "store/rooted_dir.h"
#include "store/scan.h"

namespace reclaim::store {

struct FoundLayout {
  Place place;  // its path below the root; "" for the root itself
  std::string repository;
  // False: there is an index.json beside blobs, and no file oci-layout.
  bool has_mark = true;
  // True: its repository is that of the root as well, so its names have none.
  bool is_nameless = false;
};

// The repository that a place's layout is.
std::string LayoutRepository(const RootedDir& root, const Place& place);

// Layouts at the root, or down to six levels below it, also within each other,
// and what was one or is about to be one.  Folders that cannot be read, and two
// layouts with the name of one repository, become problems of the whole store.
std::vector<FoundLayout> FindLayouts(const RootedDir& root,
                                     std::vector<ProblemFact>* problems);

absl::StatusOr<ScanResult> ScanImageLayouts(const RootedDir& root,
                                            const ScanRequest& request,
                                            ScanSink* sink);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_IMAGE_LAYOUT_SCAN_H_

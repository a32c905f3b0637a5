// store/docker_scan.h — private to the Docker driver: a listing as facts.

#ifndef RECLAIM_STORE_DOCKER_SCAN_H_
#define RECLAIM_STORE_DOCKER_SCAN_H_

#include <functional>

#include "absl/status/status.h"
#include "store/docker_listing.h"
#include "store/scan.h"

namespace reclaim::store {

// Whether something is on its way out, and so is not reported.
using IsLeaving = std::function<bool(const Removal&)>;

// An engine that a kubelet uses (through cri-dockerd) is counted only, for the
// kubelet collects there, unless `collects_kubelet`.
absl::Status ReportDocker(const DockerListing& listing,
                          const IsLeaving& is_leaving, bool collects_kubelet,
                          ScanSink* sink);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_DOCKER_SCAN_H_

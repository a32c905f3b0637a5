// metrics/errno_label.h — private: which errno a status came from.

#ifndef RECLAIM_METRICS_ERRNO_LABEL_H_
#define RECLAIM_METRICS_ERRNO_LABEL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace reclaim::metrics {

// "EACCES", ... : the label's closed set, "other" among them.
const std::vector<std::string>& ErrnoLabels();

// Of a status that absl::ErrnoToStatus() made, by the text that it ends with;
// "other" for one that no system call caused, or a rare errno.
std::string ErrnoLabel(const absl::Status& status);

}  // namespace reclaim::metrics

#endif  // RECLAIM_METRICS_ERRNO_LABEL_H_

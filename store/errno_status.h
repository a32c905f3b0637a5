// store/errno_status.h — private: what an errno means to a caller, in words.

#ifndef RECLAIM_STORE_ERRNO_STATUS_H_
#define RECLAIM_STORE_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace reclaim::store {

// "WHAT PATH: why; what to do".  The code is as store/rooted_dir.h lists.
absl::Status FromErrno(int error, absl::string_view what,
                       absl::string_view path);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_ERRNO_STATUS_H_

// base/status_macros.h — passing a status on.
//
//   RECLAIM_RETURN_IF_ERROR(store->Sync());
//   RECLAIM_ASSIGN_OR_RETURN(const auto stat, store->Stat(place, digest));

#ifndef RECLAIM_BASE_STATUS_MACROS_H_
#define RECLAIM_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define RECLAIM_RETURN_IF_ERROR(expression)            \
  do {                                                 \
    if (::absl::Status reclaim_status_ = (expression); \
        !reclaim_status_.ok()) {                       \
      return reclaim_status_;                          \
    }                                                  \
  } while (false)

#define RECLAIM_MACRO_JOIN_(a, b) a##b
#define RECLAIM_MACRO_JOIN(a, b) RECLAIM_MACRO_JOIN_(a, b)

#define RECLAIM_ASSIGN_OR_RETURN(left, expression)                           \
  RECLAIM_ASSIGN_OR_RETURN_(RECLAIM_MACRO_JOIN(reclaim_or_, __LINE__), left, \
                            expression)
#define RECLAIM_ASSIGN_OR_RETURN_(holder, left, expression) \
  auto holder = (expression);                               \
  if (!holder.ok()) return std::move(holder).status();      \
  left = *std::move(holder)

#endif  // RECLAIM_BASE_STATUS_MACROS_H_

// server/confinement.h — what this process may write, held by the kernel.
//
// Landlock (Linux 5.13 and later; docs of the kernel, userspace-api/landlock):
// a program takes rights away from itself that nothing gives back.  From then
// on it makes, changes, renames and removes files below some folders only, and
// starts no other program; whatever a bug or an attacker makes of it.  Reading
// is not restricted: a registry that is added later has to be read.

#ifndef RECLAIM_SERVER_CONFINEMENT_H_
#define RECLAIM_SERVER_CONFINEMENT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace reclaim::server {

// Restricts the calling thread and those that it starts from now on: call it
// before the first thread.  UNIMPLEMENTED: the kernel has no Landlock, or it is
// switched off there; other errors name the folder that cannot be opened.
// After an error nothing is restricted.
absl::Status ConfineWrites(const std::vector<std::string>& folders);

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_CONFINEMENT_H_

#include "metrics/errno_label.h"

#include <cerrno>

#include "absl/strings/match.h"

namespace reclaim::metrics {
namespace {

struct Known {
  int number;
  const char* name;
};
constexpr Known kKnown[] = {
    {EACCES, "EACCES"},  {EPERM, "EPERM"},   {EROFS, "EROFS"},
    {EBUSY, "EBUSY"},    {ENOSPC, "ENOSPC"}, {EDQUOT, "EDQUOT"},
    {EIO, "EIO"},        {ENOENT, "ENOENT"}, {ENOTEMPTY, "ENOTEMPTY"},
    {EXDEV, "EXDEV"},    {ELOOP, "ELOOP"},   {EMFILE, "EMFILE"},
    {ENOTDIR, "ENOTDIR"}};

// What ErrnoToStatus() puts at the end for this errno.
std::string EndingOf(int number) {
  return std::string(absl::ErrnoToStatus(number, "").message());
}

}  // namespace

const std::vector<std::string>& ErrnoLabels() {
  static const auto* const labels = [] {
    auto* all = new std::vector<std::string>;
    for (const Known& known : kKnown) all->emplace_back(known.name);
    all->emplace_back("other");
    return all;
  }();
  return *labels;
}

std::string ErrnoLabel(const absl::Status& status) {
  for (const Known& known : kKnown) {
    if (absl::EndsWith(status.message(), EndingOf(known.number))) {
      return known.name;
    }
  }
  return "other";
}

}  // namespace reclaim::metrics

#include "server/state_folder.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::server {
namespace {

absl::Status ToStatus(const std::error_code& error, absl::string_view what,
                      const std::string& path) {
  if (!error) return absl::OkStatus();
  return absl::ErrnoToStatus(error.value(),
                             absl::StrCat("cannot ", what, " ", path));
}

absl::Status MakePrivate(const std::string& path) {
  std::error_code error;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  return ToStatus(error, "set the mode of", path);
}

}  // namespace

absl::Status MakeStateFolders(const std::string& data_directory) {
  std::error_code error;
  const bool is_new =
      std::filesystem::create_directories(data_directory, error);
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(error, "make the data directory", data_directory));
  if (is_new) RECLAIM_RETURN_IF_ERROR(MakePrivate(data_directory));
  const std::string graph = data_directory + "/graph";
  std::filesystem::create_directory(graph, error);
  RECLAIM_RETURN_IF_ERROR(ToStatus(error, "make", graph));
  return MakePrivate(graph);
}

absl::StatusOr<std::string> MoveAside(const std::string& path, absl::Time now) {
  std::string aside = absl::StrCat(
      path, ".damaged-",
      absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone()));
  std::error_code error;
  std::filesystem::rename(path, aside, error);
  if (!error) return aside;
  return absl::UnavailableError(
      absl::StrCat("it cannot be moved to ", aside, ": ", error.message()));
}

absl::Status MakeRoom(const absl::Status& opened, const std::string& path,
                      absl::Time now,
                      absl::FunctionRef<void(absl::string_view)> say) {
  const auto aside = MoveAside(path, now);
  if (!aside.ok()) {
    return absl::Status(opened.code(), absl::StrCat(opened.message(), "; and ",
                                                    aside.status().message()));
  }
  say(absl::StrCat("the database was damaged (", opened.message(),
                   "); it is kept as ", *aside,
                   ", and the graph is rebuilt from the stores.  "
                   "What clients had recorded must be recorded again."));
  return absl::OkStatus();
}

std::string TraceOfDatabase(const std::string& data_directory) {
  std::error_code error;
  std::string made_later;
  for (std::filesystem::directory_iterator entry(data_directory, error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (absl::StartsWith(name, "graph.damaged-")) {
      return absl::StrCat("a damaged one is kept as ", name);
    }
    if (name == "audit") made_later = "its audit is there";
    if (name == "stores" && made_later.empty()) {
      made_later = "its list of stores is there";
    }
    if (name == "graph-mark" && made_later.empty()) {
      made_later = "its mark is there";
    }
  }
  if (!error || error == std::errc::no_such_file_or_directory) {
    return made_later;
  }
  return absl::StrCat("the data directory cannot be listed: ", error.message());
}

std::unique_ptr<index::Ballast> HoldBallast(
    const std::string& data_directory, uint64_t bytes,
    absl::FunctionRef<void(absl::string_view)> say) {
  auto ballast =
      std::make_unique<index::Ballast>(data_directory + "/ballast", bytes);
  const absl::Status held = ballast->Refill();
  if (!held.ok()) say(absl::StrCat("ballast: ", held.message()));
  ballast->ReleaseIfLow();
  return ballast;
}

}  // namespace reclaim::server

// server/man_page.h — the manual's pages on the daemon and its configuration.
//
// Pure; both come from the tables that the program itself reads, so that they
// can't drift.

#ifndef RECLAIM_SERVER_MAN_PAGE_H_
#define RECLAIM_SERVER_MAN_PAGE_H_

#include <string>
#include <vector>

namespace reclaim::server {

struct DaemonFlag {
  std::string names;  // "--config TEXT"
  std::string help;
};

// reclaimd(8).
std::string DaemonManPage(const std::vector<DaemonFlag>& flags);

// reclaim.toml(5): every key.
std::string ConfigManPage();

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_MAN_PAGE_H_

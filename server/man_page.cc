#include "server/man_page.h"

#include "absl/strings/str_cat.h"
#include "base/roff.h"
#include "server/config_key.h"

namespace reclaim::server {

std::string DaemonManPage(const std::vector<DaemonFlag>& flags) {
  base::RoffPage page("reclaimd", 8,
                      "collect garbage and account for container content");
  page.Section("SYNOPSIS");
  page.Paragraph("reclaimd [OPTION]...");
  page.Section("DESCRIPTION");
  page.Paragraph(
      "Keeps a reference graph of the images, tags, containers and layers in "
      "its stores, answers what takes the space and why, and removes what "
      "nothing needs: by a plan, with undo.  People talk to it with "
      "reclaim(1), programs over gRPC.");
  page.Section("OPTIONS");
  page.Paragraph("A flag goes before the key of the configuration.");
  for (const DaemonFlag& flag : flags) page.Item(flag.names, flag.help);
  page.Section("HTTP");
  page.Item("/metrics", "What Prometheus scrapes.");
  page.Item("/livez", "200 while the process answers.");
  page.Item("/readyz, /healthz",
            "200 while calls are served; 503 with the reason while the graph "
            "is being loaded, cannot be written, or the daemon is ending.");
  page.Section("SIGNALS");
  page.Item("SIGTERM, SIGINT",
            "Turns not ready, ends runs at the next item, and exits.");
  page.Section("EXIT STATUS");
  page.Paragraph(
      "0 after a signal; 1 if it cannot start; 2 if the flags or the "
      "configuration are wrong.");
  page.Section("FILES");
  page.Item("/etc/reclaim/reclaim.toml", "The configuration; reclaim.toml(5).");
  page.Item("/var/lib/reclaim", "The database.");
  page.Item("/run/reclaim/reclaim.sock", "The socket of the gRPC API.");
  page.Section("SEE ALSO");
  page.Paragraph("reclaim(1), reclaim.toml(5)");
  return page.text();
}

std::string ConfigManPage() {
  base::RoffPage page("reclaim.toml", 5, "configuration of reclaimd");
  page.Section("DESCRIPTION");
  page.Paragraph(
      "One TOML file, read by reclaimd --config FILE.  Every key is optional "
      "but uri in a [[store]]; an unknown key is an error.  reclaimd "
      "--check-config says what is wrong.");
  page.Section("KEYS");
  for (const Key& key : Keys()) {
    const RepeatedTable* table = RepeatedTableOf(key);
    page.Item(
        key.name,
        absl::StrCat(key.help, "\n(", key.type,
                     std::string(key.bounds).empty() ? "" : ": ", key.bounds,
                     key.fallback.empty() ? "" : "; default ", key.fallback,
                     table == nullptr
                         ? ""
                         : absl::StrCat("; in each [[", table->name, "]]"),
                     ")"));
  }
  page.Section("EXAMPLE");
  page.Verbatim(
      "[gc]\ngrace_period = \"48h\"\n\n[[store]]\n"
      "uri = \"registry:/var/lib/registry\"\nname = \"hub\"");
  page.Section("SEE ALSO");
  page.Paragraph("reclaimd(8), reclaim(1)");
  return page.text();
}

}  // namespace reclaim::server

#include "server/config.h"
#include "server/config_key.h"

namespace reclaim::server {

std::string ConfigReference() {
  std::string page =
      "# Configuration\n\n"
      "`reclaimd --config FILE` reads one TOML file.  Every key is optional "
      "but `uri` in a `[[store]]` and `name` in the other `[[…]]`; unknown "
      "keys "
      "are errors.  `reclaimd --check-config` reads it and says what is wrong. "
      " This page is what "
      "`reclaimd --print-config-reference` prints.\n\n"
      "| key | value | allowed | default | meaning |\n"
      "|---|---|---|---|---|\n";
  for (const Key& key : Keys()) {
    const RepeatedTable* table = RepeatedTableOf(key);
    std::string name = absl::StrCat("`", key.name, "`");
    if (table != nullptr) {
      const size_t dot = std::string(table->name).size();
      name = absl::StrCat("`[[", table->name, "]] ", key.name + dot + 1, "`");
    }
    const char* quote = key.fallback.empty() ? "" : "`";
    absl::StrAppend(&page, "| ", name, " | ", key.type, " | ", key.bounds,
                    " | ", quote, key.fallback, quote, " | ", key.help, " |\n");
  }
  return page;
}

}  // namespace reclaim::server

// Reads lines "CRON;ZONE;AFTER;COUNT" and answers each with the next COUNT due
// times after AFTER (Unix seconds), or "error" for a cron that is refused.

#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "gc/cron.h"

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const std::vector<std::string> parts = absl::StrSplit(line, ';');
    int64_t after = 0;
    int count = 0;
    absl::TimeZone zone;
    if (parts.size() != 4 || !absl::LoadTimeZone(parts[1], &zone) ||
        !absl::SimpleAtoi(parts[2], &after) ||
        !absl::SimpleAtoi(parts[3], &count)) {
      std::cerr << "not understood: " << line << '\n';
      return 2;
    }
    const auto cron = reclaim::gc::Cron::Parse(parts[0]);
    if (!cron.ok()) {
      std::cout << "error\n";
      continue;
    }
    absl::Time at = absl::FromUnixSeconds(after);
    for (int i = 0; i < count; ++i) {
      at = cron->Next(at, zone);
      std::cout << (i > 0 ? " " : "") << absl::ToUnixSeconds(at);
    }
    std::cout << '\n';
  }
  return 0;
}

// reclaim: the command line.

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/commands.h"

int main(int argc, char** argv) {
  reclaim::cli::Terminal terminal;
  terminal.in = &std::cin;
  terminal.out = &std::cout;
  terminal.err = &std::cerr;
  terminal.asks = isatty(STDIN_FILENO) != 0;
  const char* kind = std::getenv("TERM");
  terminal.shows_progress = isatty(STDERR_FILENO) != 0 && kind != nullptr &&
                            std::strcmp(kind, "dumb") != 0;
  // no-color.org: set and not empty.
  const char* no_color = std::getenv("NO_COLOR");
  terminal.uses_color =
      terminal.shows_progress && (no_color == nullptr || no_color[0] == '\0');
  terminal.now = [] { return absl::Now(); };
  terminal.wait = [](absl::Duration span) { absl::SleepFor(span); };
  return reclaim::cli::RunCli(std::vector<std::string>(argv + 1, argv + argc),
                              terminal);
}

// Clients of a running daemon, over its socket (B6, B7, B9, B10).
//
//   ingest_benchmark pushes socket= store= clients= messages= pushes=
//                    mode=durable|relaxed folder=
//     Each client sends MESSAGES of PUSHES images; then as many threads commit
//     as many records to a database in FOLDER, with nothing else done.
//
//   ingest_benchmark mix socket= store= clients= events=
//                    mode=durable|relaxed folder=
//     Each client makes EVENTS calls of all kinds
//     (tests/benchmark/event_mix.h); then the same records, as above.
//
//   ingest_benchmark writers socket= store= prefix= clients= pushes= messages=
//                    rate= [tree= bases= list=]
//     Relaxed messages of PUSHES images, all clients together RATE images a
//     second (0: as fast as they can), MESSAGES of each client (0: until
//     standard input ends).  A client ends with the first call that fails. With
//     TREE each image is first laid into that registry's tree, on one of the
//     layers that BASES lists (DIGEST SIZE, one a line), and what was
//     acknowledged goes to LIST.
//
//   ingest_benchmark calls socket= what=df|repository|tenant rounds= seconds=
//     The question and an empty call in turns, ROUNDS times, or until SECONDS
//     have passed.

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "tests/benchmark/ingest_measures.h"

namespace reclaim::benchmark {
namespace {

[[noreturn]] void End(const std::string& name, const char* why) {
  std::fprintf(stderr, "ingest_benchmark: %s: %s\n", name.c_str(), why);
  std::exit(2);
}

int Main(const std::vector<std::string>& words) {
  if (words.empty()) End("MODE", "pushes, mix, writers or calls");
  const Arguments arguments({words.begin() + 1, words.end()});
  if (words[0] == "pushes") return MeasurePushes(arguments);
  if (words[0] == "mix") return MeasureMix(arguments);
  if (words[0] == "writers") return WritePushes(arguments);
  if (words[0] == "calls") return MeasureCalls(arguments);
  End(words[0], "no such mode");
}

}  // namespace

Arguments::Arguments(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    const size_t at = word.find('=');
    if (at == std::string::npos) End(word, "is not NAME=VALUE");
    words_[word.substr(0, at)] = word.substr(at + 1);
  }
}

const std::string& Arguments::Text(const std::string& name) const {
  const auto found = words_.find(name);
  if (found == words_.end()) End(name, "is not given");
  return found->second;
}

int Arguments::Number(const std::string& name) const {
  int number = 0;
  if (!absl::SimpleAtoi(Text(name), &number) || number < 0) {
    End(name, "is no number");
  }
  return number;
}

}  // namespace reclaim::benchmark

int main(int argc, char** argv) {
  return reclaim::benchmark::Main({argv + 1, argv + argc});
}

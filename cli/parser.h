// cli/parser.h — what can be typed: commands, their flags and arguments.
//
// A face of CLI11, which alone reads what was typed.  It is a header of several
// seconds, so one file has it and all others have this one.  Each name, help
// and default is declared once; help, completions and manual pages are read out
// of it (cli/command_table.h).
//
// Not thread-safe.  What is declared belongs to its parser, and what it is read
// into must outlive the parse.

#ifndef RECLAIM_CLI_PARSER_H_
#define RECLAIM_CLI_PARSER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/command_table.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace reclaim::cli {

// A flag ("-f,--force"), or an argument that is known by its place ("id").
class Parameter {
 public:
  explicit Parameter(CLI::Option* option) : option_(option) {}

  // Each gives the parameter itself, for the next.
  //
  // Wrong usage without it.
  Parameter* Required();
  // Its help says what it is unless it is given.
  Parameter* ShowDefault();
  // Of one that can be repeated: each time with one value, so that what stands
  // behind it is not taken for another.
  Parameter* OneEachTime();
  // Of a list: one value exactly.
  Parameter* OneInAll();
  Parameter* OneOf(const std::vector<std::string>& values);
  // Both included.
  Parameter* Between(int least, int most);
  // `problem` says what is wrong with a value, or "".
  Parameter* Check(std::function<std::string(const std::string&)> problem);
  // Said once, it holds for this one beside the other; not the other way round.
  Parameter* Needs(Parameter* other);
  // Said of one, it holds for both.
  Parameter* Excludes(Parameter* other);
  // Under a heading of its own in the help.
  Parameter* InGroup(const std::string& heading);

 private:
  CLI::Option* option_;
};

// What was typed.
struct Parsed {
  enum class Outcome {
    kChosen,    // a command
    kAnswered,  // a help text or the version was asked for; it is in `text`
    kWrong,     // `text` says why
  };
  Outcome outcome = Outcome::kChosen;
  std::string text;
  // If a word stands where a command of `path` is expected, and none is of that
  // name: the word, which may be "", and the commands that there are.
  std::string unknown;
  std::string path;                // " image", "" for the program
  std::vector<std::string> known;  // empty if that is not what is wrong
};

class Parser {
 public:
  // Of `--help`: `help` is its first line, `footer` what it ends with.
  struct Program {
    std::string name;
    std::string version;
    std::string help;
    std::string footer;
  };

  explicit Parser(const Program& program);
  ~Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // A name that there is already is a fault of the program, as it is of a flag:
  // CLI11 throws.
  Parser* AddCommand(const std::string& name, const std::string& help);
  // A command that has others ("image", "store"); made once.
  Parser* Group(const std::string& name, const std::string& help);

  // `names`: "-a,--all", or "id" for one that is known by its place.
  Parameter* AddOption(const std::string& names, std::string& value,
                       const std::string& help);
  Parameter* AddOption(const std::string& names,
                       std::vector<std::string>& values,
                       const std::string& help);
  Parameter* AddOption(const std::string& names, int& value,
                       const std::string& help);
  Parameter* AddOption(const std::string& names, uint32_t& value,
                       const std::string& help);
  Parameter* AddOption(const std::string& names, uint64_t& value,
                       const std::string& help);
  Parameter* AddFlag(const std::string& names, bool& value,
                     const std::string& help);
  // "--history{24h}": the value in braces unless another is given.
  Parameter* AddFlag(const std::string& names, std::string& value,
                     const std::string& help);
  // `given` is called while the line is read, before it is known to be right.
  Parameter* AddFlag(const std::string& names, std::function<void()> given,
                     const std::string& help);
  // REQUIRES: it was added.
  Parameter* Find(const std::string& name);

  // Called once the whole line is read, if it says this command.
  void OnChosen(std::function<void()> chosen);

  // Gives every flag that has none an environment variable, here and below:
  // --dry-run reads RECLAIM_DRY_RUN.
  void NameVariables();
  // Depth first, the program itself first.  Hidden commands are left out.
  std::vector<CommandEntry> Table() const;

  // Of the program: `arguments` without its name.
  Parsed Parse(std::vector<std::string> arguments);
  // The flags of this command that were given, by the line or the environment,
  // by their long names and in the order of their declaration; no arguments.
  std::vector<std::string> GivenFlags() const;

 private:
  struct Kept;

  explicit Parser(CLI::App* app);
  Parameter* Keep(CLI::Option* option);

  std::unique_ptr<Kept> kept_;
  CLI::App* app_;
};

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_PARSER_H_

// cli/command_table.h — every command with its flags, as the parser has them
// (Parser::Table()).
//
// Completions, manual pages and the test that none of them lacks a flag are
// made from this one table, so that they can't drift.

#ifndef RECLAIM_CLI_COMMAND_TABLE_H_
#define RECLAIM_CLI_COMMAND_TABLE_H_

#include <string>
#include <vector>

namespace reclaim::cli {

struct FlagEntry {
  std::vector<std::string> names;  // "-f", "--force"
  std::string value;               // "TEXT"; "" for a switch
  std::string help;
  std::string variable;  // "RECLAIM_FORCE"; "" for none
};

struct ArgumentEntry {
  std::string name;  // "reference"
  std::string help;
  bool is_required = false;
  bool is_repeated = false;
};

struct CommandEntry {
  std::string path;  // "image prune"; "" for the program
  std::string help;
  std::vector<FlagEntry> flags;
  std::vector<ArgumentEntry> arguments;
  std::vector<std::string> commands;  // the names below it
};

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_COMMAND_TABLE_H_

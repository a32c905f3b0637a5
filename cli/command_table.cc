#include "cli/command_table.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace reclaim::cli {
namespace {

bool IsBuiltIn(const std::string& name) {
  return name == "help" || name == "version";
}

FlagEntry FlagOf(const CLI::Option& option) {
  FlagEntry flag;
  for (const std::string& name : option.get_snames()) {
    flag.names.push_back("-" + name);
  }
  for (const std::string& name : option.get_lnames()) {
    flag.names.push_back("--" + name);
  }
  const bool is_switch = option.get_items_expected_max() == 0;
  flag.value = is_switch ? "" : option.get_type_name();
  flag.help = option.get_description();
  flag.variable = option.get_envname();
  return flag;
}

ArgumentEntry ArgumentOf(const CLI::Option& option) {
  ArgumentEntry argument;
  argument.name = option.get_name(true);
  argument.help = option.get_description();
  argument.is_required = option.get_required();
  argument.is_repeated = option.get_items_expected_max() > 1;
  return argument;
}

void Walk(const CLI::App& app, const std::string& path,
          std::vector<CommandEntry>* table) {
  CommandEntry entry;
  entry.path = path;
  entry.help = app.get_description();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      entry.arguments.push_back(ArgumentOf(*option));
    } else {
      entry.flags.push_back(FlagOf(*option));
    }
  }
  const auto commands = app.get_subcommands([](const CLI::App* command) {
    return !command->get_name().empty() && !command->get_group().empty();
  });
  for (const CLI::App* command : commands) {
    entry.commands.push_back(command->get_name());
  }
  table->push_back(std::move(entry));
  for (const CLI::App* command : commands) {
    Walk(*command,
         absl::StrCat(path, path.empty() ? "" : " ", command->get_name()),
         table);
  }
}

}  // namespace

std::vector<CommandEntry> CommandTable(const CLI::App& app) {
  std::vector<CommandEntry> table;
  Walk(app, "", &table);
  return table;
}

void NameVariables(CLI::App* app) {
  for (CLI::Option* option : app->get_options()) {
    if (option->get_lnames().empty() || !option->get_envname().empty()) {
      continue;
    }
    const std::string name = option->get_lnames()[0];
    if (IsBuiltIn(name)) continue;
    option->envname(absl::StrCat(
        "RECLAIM_",
        absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{"-", "_"}}))));
  }
  for (CLI::App* command :
       app->get_subcommands([](CLI::App*) { return true; })) {
    NameVariables(command);
  }
}

}  // namespace reclaim::cli

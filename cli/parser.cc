#include "cli/parser.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
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

void Name(CLI::App* app) {
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
    Name(command);
  }
}

// What was typed where a command is expected, if that is what is wrong.
void FindUnknown(const CLI::App& app, Parsed* parsed) {
  const CLI::App* group = &app;
  std::string path;
  while (!group->get_subcommands().empty()) {
    group = group->get_subcommands()[0];
    absl::StrAppend(&path, " ", group->get_name());
  }
  std::vector<std::string> names;
  for (const CLI::App* sub : group->get_subcommands({})) {
    names.push_back(sub->get_name());
  }
  const std::vector<std::string> rest = app.remaining(/*recurse=*/true);
  if (names.empty() || rest.empty() || absl::StartsWith(rest[0], "-")) return;
  parsed->unknown = rest[0];
  parsed->path = path;
  parsed->known = std::move(names);
}

}  // namespace

Parameter* Parameter::Required() {
  option_->required();
  return this;
}

Parameter* Parameter::ShowDefault() {
  option_->capture_default_str();
  return this;
}

Parameter* Parameter::OneEachTime() {
  option_->allow_extra_args(false);
  return this;
}

Parameter* Parameter::OneInAll() {
  option_->expected(1);
  return this;
}

Parameter* Parameter::OneOf(const std::vector<std::string>& values) {
  option_->check(CLI::IsMember(values));
  return this;
}

Parameter* Parameter::Between(int least, int most) {
  option_->check(CLI::Range(least, most));
  return this;
}

Parameter* Parameter::Check(
    std::function<std::string(const std::string&)> problem) {
  option_->check(CLI::Validator(std::move(problem), ""));
  return this;
}

Parameter* Parameter::Needs(Parameter* other) {
  option_->needs(other->option_);
  return this;
}

Parameter* Parameter::Excludes(Parameter* other) {
  option_->excludes(other->option_);
  return this;
}

Parameter* Parameter::InGroup(const std::string& heading) {
  option_->group(heading);
  return this;
}

// What pointers were given of, and of the program its parser.
struct Parser::Kept {
  std::unique_ptr<CLI::App> program;
  std::vector<std::unique_ptr<Parser>> commands;
  std::vector<std::unique_ptr<Parameter>> parameters;
};

Parser::Parser(const Program& program) : kept_(std::make_unique<Kept>()) {
  kept_->program = std::make_unique<CLI::App>(program.help, program.name);
  app_ = kept_->program.get();
  app_->set_version_flag("--version", program.version);
  app_->require_subcommand(1);
  // The program's flags may stand behind a command's as well.
  app_->fallthrough();
  app_->footer(program.footer);
}

Parser::Parser(CLI::App* app) : kept_(std::make_unique<Kept>()), app_(app) {}

Parser::~Parser() = default;

Parser* Parser::AddCommand(const std::string& name, const std::string& help) {
  kept_->commands.push_back(
      std::unique_ptr<Parser>(new Parser(app_->add_subcommand(name, help))));
  return kept_->commands.back().get();
}

Parser* Parser::Group(const std::string& name, const std::string& help) {
  for (const auto& command : kept_->commands) {
    if (command->app_->get_name() == name) return command.get();
  }
  Parser* group = AddCommand(name, help);
  group->app_->require_subcommand(1);
  return group;
}

Parameter* Parser::Keep(CLI::Option* option) {
  kept_->parameters.push_back(std::make_unique<Parameter>(option));
  return kept_->parameters.back().get();
}

Parameter* Parser::AddOption(const std::string& names, std::string& value,
                             const std::string& help) {
  return Keep(app_->add_option(names, value, help));
}

Parameter* Parser::AddOption(const std::string& names,
                             std::vector<std::string>& values,
                             const std::string& help) {
  return Keep(app_->add_option(names, values, help));
}

Parameter* Parser::AddOption(const std::string& names, int& value,
                             const std::string& help) {
  return Keep(app_->add_option(names, value, help));
}

Parameter* Parser::AddOption(const std::string& names, uint32_t& value,
                             const std::string& help) {
  return Keep(app_->add_option(names, value, help));
}

Parameter* Parser::AddOption(const std::string& names, uint64_t& value,
                             const std::string& help) {
  return Keep(app_->add_option(names, value, help));
}

Parameter* Parser::AddFlag(const std::string& names, bool& value,
                           const std::string& help) {
  return Keep(app_->add_flag(names, value, help));
}

Parameter* Parser::AddFlag(const std::string& names, std::string& value,
                           const std::string& help) {
  return Keep(app_->add_flag(names, value, help));
}

Parameter* Parser::AddFlag(const std::string& names,
                           std::function<void()> given,
                           const std::string& help) {
  return Keep(app_->add_flag_callback(names, std::move(given), help));
}

Parameter* Parser::Find(const std::string& name) {
  return Keep(app_->get_option(name));
}

void Parser::OnChosen(std::function<void()> chosen) {
  app_->callback(std::move(chosen));
}

void Parser::NameVariables() { Name(app_); }

std::vector<CommandEntry> Parser::Table() const {
  std::vector<CommandEntry> table;
  Walk(*app_, "", &table);
  return table;
}

Parsed Parser::Parse(std::vector<std::string> arguments) {
  Parsed parsed;
  std::reverse(arguments.begin(), arguments.end());
  try {
    app_->parse(arguments);
  } catch (const CLI::ParseError& error) {
    parsed.outcome = error.get_exit_code() == 0 ? Parsed::Outcome::kAnswered
                                                : Parsed::Outcome::kWrong;
    std::ostringstream text;
    app_->exit(error, text, text);
    parsed.text = text.str();
    if (error.get_exit_code() != 0) FindUnknown(*app_, &parsed);
  }
  return parsed;
}

std::vector<std::string> Parser::GivenFlags() const {
  std::vector<std::string> names;
  for (const CLI::Option* option : app_->get_options()) {
    if (option->count() == 0 || option->get_positional()) continue;
    names.push_back(option->get_name());
  }
  return names;
}

}  // namespace reclaim::cli

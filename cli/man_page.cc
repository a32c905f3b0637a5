#include "cli/man_page.h"

#include <fstream>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/roff.h"
#include "cli/commands.h"

namespace reclaim::cli {
namespace {

// "reclaim image rm [OPTION]... reference..."
std::string Synopsis(const CommandEntry& entry) {
  std::string line = "reclaim";
  if (!entry.path.empty()) absl::StrAppend(&line, " ", entry.path);
  if (!entry.flags.empty()) line += " [OPTION]...";
  for (const ArgumentEntry& argument : entry.arguments) {
    absl::StrAppend(&line, " ", argument.is_required ? "" : "[", argument.name,
                    argument.is_repeated ? "..." : "",
                    argument.is_required ? "" : "]");
  }
  if (!entry.commands.empty()) line += " COMMAND";
  return line;
}

void AddFlags(const CommandEntry& entry, base::RoffPage* page) {
  for (const ArgumentEntry& argument : entry.arguments) {
    page->Item(argument.name, argument.help);
  }
  for (const FlagEntry& flag : entry.flags) {
    page->Item(
        absl::StrCat(absl::StrJoin(flag.names, ", "),
                     flag.value.empty() ? "" : absl::StrCat(" ", flag.value)),
        absl::StrCat(flag.help, flag.variable.empty() ? "" : ".  Environment: ",
                     flag.variable));
  }
}

void AddSeeAlso(base::RoffPage* page) {
  page->Section("SEE ALSO");
  page->Paragraph("reclaim(1), reclaim.toml(5), reclaimd(8)");
}

std::string ProgramPage(const std::vector<CommandEntry>& table,
                        absl::string_view footer) {
  const CommandEntry& program = table[0];
  base::RoffPage page("reclaim", 1, program.help);
  page.Section("SYNOPSIS");
  page.Paragraph(Synopsis(program));
  page.Section("OPTIONS");
  page.Paragraph("These may stand before or behind the command.");
  AddFlags(program, &page);
  page.Section("COMMANDS");
  for (const CommandEntry& entry : table) {
    if (entry.path.empty() || absl::StrContains(entry.path, ' ')) continue;
    page.Item(entry.path,
              absl::StrCat(entry.help, "; see reclaim-", entry.path, "(1)"));
  }
  page.Section("EXIT STATUS, ENVIRONMENT AND EXAMPLES");
  page.Verbatim(absl::StripAsciiWhitespace(footer));
  AddSeeAlso(&page);
  return page.text();
}

// One command and what is below it.
std::string CommandPage(const std::vector<CommandEntry>& table,
                        const CommandEntry& top) {
  base::RoffPage page(absl::StrCat("reclaim-", top.path), 1, top.help);
  const std::string below = top.path + " ";
  std::vector<const CommandEntry*> entries;
  for (const CommandEntry& entry : table) {
    if (&entry == &top || absl::StartsWith(entry.path, below)) {
      entries.push_back(&entry);
    }
  }
  page.Section("SYNOPSIS");
  for (const CommandEntry* entry : entries) {
    if (entry->commands.empty()) page.Paragraph(Synopsis(*entry));
  }
  page.Section("OPTIONS");
  for (const CommandEntry* entry : entries) {
    page.Subsection("reclaim " + entry->path);
    page.Paragraph(entry->help + ".");
    AddFlags(*entry, &page);
  }
  AddSeeAlso(&page);
  return page.text();
}

int WritePages(Session* session, const std::string& folder,
               const std::map<std::string, std::string>& pages) {
  for (const auto& [name, text] : pages) {
    const std::string path = absl::StrCat(folder, "/", name, ".1");
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) {
      return session->Fail(
          absl::UnavailableError(absl::StrCat("cannot write ", path)));
    }
  }
  return kDone;
}

}  // namespace

std::map<std::string, std::string> ManPages(
    const std::vector<CommandEntry>& table, absl::string_view footer) {
  std::map<std::string, std::string> pages;
  pages["reclaim"] = ProgramPage(table, footer);
  for (const CommandEntry& entry : table) {
    if (entry.path.empty() || absl::StrContains(entry.path, ' ')) continue;
    pages["reclaim-" + entry.path] = CommandPage(table, entry);
  }
  return pages;
}

void AddManPages(Parser* app, Session* session) {
  auto name = std::make_shared<std::string>("reclaim");
  auto folder = std::make_shared<std::string>();
  Parser* man = app->AddCommand("man", "Print a manual page");
  man->AddOption("page", *name, "E.g. reclaim-image")->ShowDefault();
  man->AddOption("--directory", *folder, "Write all of them into this folder");
  man->OnChosen([=] {
    session->chosen = [=] {
      const auto pages = ManPages(app->Table(), kFooter);
      if (!folder->empty()) return WritePages(session, *folder, pages);
      const auto page = pages.find(*name);
      if (page == pages.end()) {
        return session->Fail(absl::NotFoundError(
            absl::StrCat("there is no page ", *name,
                         "; there are reclaim and reclaim-", "COMMAND")));
      }
      session->out() << page->second;
      return static_cast<int>(kDone);
    };
  });
}

}  // namespace reclaim::cli

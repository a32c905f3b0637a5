// Completions for shells, from the commands themselves, so that they can't
// drift.  Each script knows every subcommand and flag; it asks no daemon.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/command_table.h"
#include "cli/commands.h"

namespace reclaim::cli {
namespace {

// Words that may follow the commands in `path` ("image prune").
struct Place {
  std::string path;
  std::vector<std::string> words;
};

std::vector<Place> Places(const std::vector<CommandEntry>& table) {
  std::vector<Place> places;
  for (const CommandEntry& entry : table) {
    Place place;
    place.path = entry.path;
    for (const FlagEntry& flag : entry.flags) {
      for (const std::string& name : flag.names) {
        if (absl::StartsWith(name, "--")) place.words.push_back(name);
      }
    }
    // The program's flags may stand behind any command.
    if (!entry.path.empty()) {
      for (const FlagEntry& flag : table[0].flags) {
        const std::string& name = flag.names.back();
        const bool is_known = std::find(place.words.begin(), place.words.end(),
                                        name) != place.words.end();
        if (name != "--version" && !is_known) place.words.push_back(name);
      }
    }
    place.words.insert(place.words.end(), entry.commands.begin(),
                       entry.commands.end());
    places.push_back(std::move(place));
  }
  return places;
}

// The shell function that bash and zsh share: the words for a path.
std::string WordsFunction(const std::vector<Place>& places) {
  std::string out = "_reclaim_words() {\n  case \"$1\" in\n";
  for (const Place& place : places) {
    absl::StrAppend(&out, "    '", place.path, "') echo '",
                    absl::StrJoin(place.words, " "), "' ;;\n");
  }
  absl::StrAppend(&out, "  esac\n}\n");
  return out;
}

std::string Bash(const std::vector<Place>& places) {
  return absl::StrCat(
      "# bash completion for reclaim; source it, or put it in\n"
      "# /usr/share/bash-completion/completions/reclaim\n",
      WordsFunction(places),
      "_reclaim() {\n"
      "  local path='' word words i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    word=${COMP_WORDS[i]}\n"
      "    [[ $word == -* ]] && continue\n"
      "    words=\" $(_reclaim_words \"$path\") \"\n"
      "    [[ $words == *\" $word \"* ]] && path=\"${path:+$path }$word\"\n"
      "  done\n"
      "  COMPREPLY=($(compgen -W \"$(_reclaim_words \"$path\")\" -- "
      "\"${COMP_WORDS[COMP_CWORD]}\"))\n"
      "}\n"
      "complete -o default -F _reclaim reclaim\n");
}

std::string Zsh(const std::vector<Place>& places) {
  return absl::StrCat(
      "#compdef reclaim\n# zsh completion for reclaim\n", WordsFunction(places),
      "_reclaim() {\n"
      "  local place='' word list i\n"
      "  for ((i = 2; i < CURRENT; i++)); do\n"
      "    word=${words[i]}\n"
      "    [[ $word == -* ]] && continue\n"
      "    list=\" $(_reclaim_words \"$place\") \"\n"
      "    [[ $list == *\" $word \"* ]] && place=\"${place:+$place }$word\"\n"
      "  done\n"
      "  compadd -- ${=\"$(_reclaim_words \"$place\")\"}\n"
      "}\n"
      "compdef _reclaim reclaim 2>/dev/null || true\n");
}

std::string Fish(const std::vector<Place>& places) {
  std::string out =
      "# fish completion for reclaim\n"
      "function __reclaim_words\n  switch \"$argv[1]\"\n";
  for (const Place& place : places) {
    absl::StrAppend(&out, "    case '", place.path, "'\n      printf '%s\\n' ",
                    absl::StrJoin(place.words, " "), "\n");
  }
  absl::StrAppend(
      &out,
      "  end\n"
      "end\n"
      "function __reclaim_place\n"
      "  set -l words (commandline -opc)\n"
      "  set -l place ''\n"
      "  if test (count $words) -gt 1\n"
      "    for word in $words[2..-1]\n"
      "      string match -q -- '-*' $word; and continue\n"
      "      contains -- $word (__reclaim_words \"$place\"); or continue\n"
      "      set place (string trim -- \"$place $word\")\n"
      "    end\n"
      "  end\n"
      "  echo $place\n"
      "end\n"
      "complete -c reclaim -f -a '(__reclaim_words (__reclaim_place))'\n");
  return out;
}

}  // namespace

void AddCompletion(Parser* app, Session* session) {
  Parser* completion =
      app->AddCommand("completion", "Print a completion script");
  auto shell = std::make_shared<std::string>();
  completion->AddOption("shell", *shell, "bash, zsh or fish")
      ->Required()
      ->OneOf({"bash", "zsh", "fish"});
  completion->OnChosen([=] {
    session->chosen = [=] {
      const std::vector<Place> places = Places(app->Table());
      session->out() << (*shell == "bash"  ? Bash(places)
                         : *shell == "zsh" ? Zsh(places)
                                           : Fish(places));
      return static_cast<int>(kDone);
    };
  });
}

}  // namespace reclaim::cli

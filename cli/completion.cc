// Completions for shells, from the commands themselves, so that they can't
// drift.  Each script knows every subcommand and flag; it asks no daemon.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"

namespace reclaim::cli {
namespace {

// Words that may follow the commands in `path` ("image prune").
struct Place {
  std::string path;
  std::vector<std::string> words;
};

void Walk(const CLI::App* app, const std::string& path,
          std::vector<Place>* places) {
  Place place;
  place.path = path;
  for (const CLI::Option* option : app->get_options()) {
    for (const std::string& name : option->get_lnames()) {
      place.words.push_back("--" + name);
    }
  }
  const auto commands =
      app->get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : commands) {
    place.words.push_back(command->get_name());
  }
  places->push_back(std::move(place));
  for (const CLI::App* command : commands) {
    Walk(command,
         absl::StrCat(path, path.empty() ? "" : " ", command->get_name()),
         places);
  }
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
      "function __reclaim_place\n"
      "  set -l words (commandline -opc)\n"
      "  set -l place\n"
      "  for word in $words[2..-1]\n"
      "    string match -q -- '-*' $word; or set place $place $word\n"
      "  end\n"
      "  test \"$place\" = \"$argv\"\n"
      "end\n";
  for (const Place& place : places) {
    for (const std::string& word : place.words) {
      const std::string what = word.rfind("--", 0) == 0
                                   ? absl::StrCat("-l ", word.substr(2))
                                   : absl::StrCat("-a ", word);
      absl::StrAppend(&out, "complete -c reclaim -f -n '__reclaim_place ",
                      place.path, "' ", what, "\n");
    }
  }
  return out;
}

}  // namespace

void AddCompletion(CLI::App* app, Session* session) {
  CLI::App* completion =
      app->add_subcommand("completion", "Print a completion script");
  auto shell = std::make_shared<std::string>();
  completion->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->callback([=] {
    session->chosen = [=] {
      std::vector<Place> places;
      Walk(app, "", &places);
      session->out() << (*shell == "bash"  ? Bash(places)
                         : *shell == "zsh" ? Zsh(places)
                                           : Fish(places));
      return static_cast<int>(kDone);
    };
  });
}

}  // namespace reclaim::cli

// container ls, volume ls, network ls.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/row_printer.h"
#include "cli/units.h"
#include "cli/usage_details.h"

namespace reclaim::cli {
namespace {

struct RecordFlags {
  bool all = false;
  bool quiet = false;
  bool no_trunc = false;
  bool size = false;
  std::vector<std::string> filters;
  std::string format;
};

// Docker's filters of lists: of one key any value will do, but every label has
// to be there; all keys have to agree.
class RecordFilter {
 public:
  static absl::StatusOr<RecordFilter> Parse(
      const std::vector<std::string>& terms,
      const std::vector<std::string>& keys);

  bool Has(const std::string& key) const { return terms_.count(key) > 0; }
  using Test =
      absl::FunctionRef<bool(const std::string& key, const std::string& value)>;
  bool Match(Test is) const;

 private:
  std::map<std::string, std::vector<std::string>> terms_;
};

absl::StatusOr<RecordFilter> RecordFilter::Parse(
    const std::vector<std::string>& terms,
    const std::vector<std::string>& keys) {
  RecordFilter filter;
  for (const std::string& term : terms) {
    const size_t at = term.find('=');
    const std::string key = term.substr(0, at);
    if (at == std::string::npos ||
        std::find(keys.begin(), keys.end(), key) == keys.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--filter ", term, ": there are ", absl::StrJoin(keys, "=, "), "="));
    }
    const std::string value = term.substr(at + 1);
    if (key == "dangling" && value != "true" && value != "false") {
      return absl::InvalidArgumentError(
          absl::StrCat("--filter ", term, ": must be true or false"));
    }
    filter.terms_[key].push_back(value);
  }
  return filter;
}

bool RecordFilter::Match(Test is) const {
  for (const auto& [name, values] : terms_) {
    const std::string& key = name;
    const auto test = [&](const std::string& value) { return is(key, value); };
    const bool agrees = key == "label"
                            ? std::all_of(values.begin(), values.end(), test)
                            : std::any_of(values.begin(), values.end(), test);
    if (!agrees) return false;
  }
  return true;
}

// "key" or "key=value".
bool HasLabel(const LabelMap& labels, const std::string& wanted) {
  const size_t at = wanted.find('=');
  const auto it = labels.find(wanted.substr(0, at));
  return it != labels.end() &&
         (at == std::string::npos || it->second == wanted.substr(at + 1));
}

bool IsOf(const v1::Container& container, const std::string& key,
          const std::string& value) {
  if (key == "id") return absl::StartsWith(container.id(), value);
  if (key == "name") return absl::StrContains(container.name(), value);
  if (key == "label") return HasLabel(container.labels(), value);
  if (key == "status") return container.state() == value;
  // ancestor
  const std::string& reference = container.image_reference();
  if (reference == value || container.image_digest() == value) return true;
  // A colon before a slash is a port's.
  const size_t colon = reference.rfind(':');
  return colon != std::string::npos &&
         reference.find('/', colon) == std::string::npos &&
         reference.substr(0, colon) == value;
}

bool IsOf(const v1::Volume& volume, const std::string& key,
          const std::string& value) {
  if (key == "name") return absl::StrContains(volume.name(), value);
  if (key == "label") return HasLabel(volume.labels(), value);
  if (key == "driver") return volume.driver() == value;
  return (volume.link_count() == 0) == (value == "true");  // dangling
}

bool IsOf(const v1::Network& network, const std::string& key,
          const std::string& value) {
  if (key == "name") return absl::StrContains(network.name(), value);
  if (key == "label") return HasLabel(network.labels(), value);
  if (key == "driver") return network.driver() == value;
  const bool is_dangling =
      network.container_count() == 0 && !network.is_predefined();
  return is_dangling == (value == "true");
}

bool IsRunning(const v1::Container& container) {
  return container.state() == "running" || container.state() == "paused" ||
         container.state() == "restarting";
}

// Collects one list; names alone with --quiet.
template <typename Record, typename ForEach, typename MakeRow>
int PrintList(Session* session, const RecordFlags& flags, RowPrinter* rows,
              const char* id_field, const RecordFilter& filter,
              ForEach for_each, MakeRow make_row) {
  const int code = for_each(session, [&](const Record& record) {
    if (!filter.Match([&](const std::string& key, const std::string& value) {
          return IsOf(record, key, value);
        })) {
      return;
    }
    if (flags.quiet) {
      session->out() << Safe(make_row(record)[id_field]) << '\n';
    } else {
      rows->Add(record, [&] { return make_row(record); });
    }
  });
  return code != kDone || flags.quiet ? code : rows->Finish();
}

int ListContainers(Session* session, const RecordFlags& flags) {
  const auto filter = RecordFilter::Parse(
      flags.filters, {"ancestor", "id", "label", "name", "status"});
  if (!filter.ok()) return session->Fail(filter.status());
  std::vector<Column> columns = {
      {"CONTAINER ID", "ID"},    {"IMAGE", "Image"},   {"COMMAND", "Command"},
      {"CREATED", "RunningFor"}, {"STATUS", "Status"}, {"PORTS", "Ports"},
      {"NAMES", "Names"}};
  if (flags.size) columns.push_back({"SIZE", "Size"});
  RowPrinter rows(session, "container", flags.format, std::move(columns));
  // Asking for a state asks for all that are in it, as Docker has it.
  const bool all = flags.all || filter->Has("status");
  const auto each = [all](Session* s, const auto& visit) {
    return ForEachContainer(s, [&](const v1::Container& container) {
      if (all || IsRunning(container)) visit(container);
    });
  };
  return PrintList<v1::Container>(session, flags, &rows, "ID", *filter, each,
                                  [&](const v1::Container& container) {
                                    return ContainerRow(*session, container,
                                                        flags.no_trunc);
                                  });
}

int ListVolumes(Session* session, const RecordFlags& flags) {
  const auto filter = RecordFilter::Parse(
      flags.filters, {"dangling", "driver", "label", "name"});
  if (!filter.ok()) return session->Fail(filter.status());
  RowPrinter rows(session, "volume", flags.format,
                  {{"DRIVER", "Driver"}, {"VOLUME NAME", "Name"}});
  return PrintList<v1::Volume>(session, flags, &rows, "Name", *filter,
                               ForEachVolume, VolumeRow);
}

Row NetworkRow(const v1::Network& network) {
  return {{"ID", ShortId(network.id())},
          {"Name", network.name()},
          {"Driver", network.driver()},
          {"Scope", network.scope()},
          {"Labels", LabelsOf(network.labels())},
          {"Containers", absl::StrCat(network.container_count())},
          {"CreatedAt", Moment(network.create_time())},
          {"Store", network.store()}};
}

int ListNetworks(Session* session, const RecordFlags& flags) {
  const auto filter = RecordFilter::Parse(
      flags.filters, {"dangling", "driver", "label", "name"});
  if (!filter.ok()) return session->Fail(filter.status());
  RowPrinter rows(session, "network", flags.format,
                  {{"NETWORK ID", "ID"},
                   {"NAME", "Name"},
                   {"DRIVER", "Driver"},
                   {"SCOPE", "Scope"}});
  return PrintList<v1::Network>(session, flags, &rows, "Name", *filter,
                                ForEachNetwork, NetworkRow);
}

Parser* AddList(Parser* group, Session* session, const char* name,
                const char* help, const char* filters,
                const std::shared_ptr<RecordFlags>& flags,
                int (*list)(Session*, const RecordFlags&)) {
  Parser* command = group->AddCommand(name, help);
  command->AddFlag("-q,--quiet", flags->quiet, "Only the names or ids");
  command->AddOption("-f,--filter", flags->filters, filters)->OneEachTime();
  command->AddOption("--format", flags->format, kFormatHelp);
  command->AddOption("--store", session->store, "Store; empty for all");
  command->OnChosen(
      [=] { session->chosen = [=] { return list(session, *flags); }; });
  return command;
}

void AddContainers(Parser* group, Session* session, const char* name) {
  auto flags = std::make_shared<RecordFlags>();
  Parser* list =
      AddList(group, session, name, "List containers",
              "ancestor=, id=, label=, name=, status=", flags, ListContainers);
  list->AddFlag("-a,--all", flags->all, "Not only those that run");
  list->AddFlag("--no-trunc", flags->no_trunc, "Whole ids and commands");
  list->AddFlag("-s,--size", flags->size, "What they have written");
}

}  // namespace

void AddRecordCommands(Parser* app, Session* session) {
  AddContainers(app->Group("container", "Manage containers"), session, "ls");
  AddContainers(app, session, "ps");
  AddList(app->Group("volume", "Manage volumes"), session, "ls", "List volumes",
          "dangling=, driver=, label=, name=", std::make_shared<RecordFlags>(),
          ListVolumes);
  AddList(app->Group("network", "Manage networks"), session, "ls",
          "List networks",
          "dangling=, driver=, label=, name=", std::make_shared<RecordFlags>(),
          ListNetworks);
}

}  // namespace reclaim::cli

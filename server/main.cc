// reclaimd: reads the configuration, starts the daemon, waits for a signal.

#include <signal.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "server/config.h"
#include "server/confinement.h"
#include "server/daemon.h"
#include "server/man_page.h"
#include "server/state_folder.h"
#include "store/open_store.h"

namespace reclaim::server {
namespace {

// One line, safe on a terminal.
void Say(absl::string_view line) {
  const std::string text = absl::Utf8SafeCEscape(line);
  fprintf(
      stderr, "%s reclaimd: %s\n",
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone())
          .c_str(),
      text.c_str());
}

struct Flags {
  std::string config;
  std::string data_directory;
  std::string socket;
  std::string http;
  std::string listen;
  bool insecure = false;
  std::vector<std::string> stores;
  bool read_only = false;
  bool check_config = false;
  bool print_reference = false;
  int manual_section = 0;
};

void Declare(CLI::App* app, Flags* flags) {
  app->add_option("--config", flags->config,
                  "TOML file (docs/CONFIGURATION.md)");
  app->add_option("--data-directory", flags->data_directory,
                  "Folder of the database");
  app->add_option("--socket", flags->socket, "Unix socket of the gRPC API");
  app->add_option("--http", flags->http,
                  "HOST:PORT of /metrics; port 0 for any");
  app->add_option("--listen", flags->listen, "HOST:PORT of the gRPC API");
  app->add_flag("--insecure", flags->insecure,
                "No TLS on --listen (loopback only)");
  app->add_option("--store", flags->stores,
                  "image-layout:PATH, registry:PATH, containerd:SOCKET, "
                  "docker:SOCKET, podman:SOCKET, external:NAME or "
                  "memory:NAME; repeatable");
  app->add_flag("--read-only", flags->read_only,
                "Delete nothing in the stores of --store");
  app->add_flag("--check-config", flags->check_config,
                "Read the configuration, say what is wrong, and end");
  app->add_flag("--print-config-reference", flags->print_reference,
                "Print the page of all keys, and end");
  app->add_option("--print-man", flags->manual_section,
                  "Print reclaimd(8) or reclaim.toml(5), and end")
      ->check(CLI::IsMember({5, 8}));
}

int PrintManual(const CLI::App& app, int section) {
  std::vector<DaemonFlag> flags;
  for (const CLI::Option* option : app.get_options()) {
    const bool has_value = option->get_items_expected_max() > 0;
    flags.push_back(
        {absl::StrCat(option->get_name(false, true), has_value ? " " : "",
                      has_value ? option->get_type_name() : ""),
         option->get_description()});
  }
  fputs((section == 5 ? ConfigManPage() : DaemonManPage(flags)).c_str(),
        stdout);
  return 0;
}

// The descriptor of reclaimd.socket (FileDescriptorName=reclaim); -1 for none.
int InheritedSocket() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(/*unset_environment=*/1, &names);
  int found = -1;
  for (int i = 0; i < count; ++i) {
    if (found < 0 && std::string(names[i]) == "reclaim") {
      found = SD_LISTEN_FDS_START + i;
    }
    free(names[i]);
  }
  if (count > 0) free(names);
  return found;
}

absl::StatusOr<Config> MakeConfig(const Flags& flags) {
  Config config;
  if (!flags.config.empty()) {
    auto read = ReadConfig(flags.config);
    if (!read.ok()) return read.status();
    config = *std::move(read);
  }
  if (!flags.data_directory.empty()) {
    config.data_directory = flags.data_directory;
  }
  if (!flags.socket.empty()) config.socket = flags.socket;
  if (!flags.http.empty()) config.http_address = flags.http;
  if (!flags.listen.empty()) config.tcp_address = flags.listen;
  if (flags.insecure) config.is_insecure = true;
  for (const std::string& uri : flags.stores) {
    rpc::StoreSettings store;
    store.uri = uri;
    store.is_read_only = flags.read_only;
    config.stores.push_back(store);
  }
  config.socket_fd = InheritedSocket();
  const absl::Status checked = CheckConfig(config);
  if (!checked.ok()) return checked;
  return config;
}

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder;
}

// Before any thread is there, for it counts for those that come later.
absl::Status Confine(const Config& config) {
  if (!config.is_confined) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(MakeStateFolders(config.data_directory));
  std::vector<std::string> folders = config.confined_folders;
  folders.push_back(config.data_directory);
  for (const std::string& socket : {config.socket, config.read_socket}) {
    if (!socket.empty()) folders.push_back(FolderOf(socket));
  }
  for (const rpc::StoreSettings& settings : config.stores) {
    RECLAIM_ASSIGN_OR_RETURN(const store::StoreUri uri,
                             store::ParseStoreUri(settings.uri));
    const bool is_tree = uri.kind == store::StoreKind::kImageLayout ||
                         uri.kind == store::StoreKind::kRegistry;
    if (is_tree && !settings.is_read_only) folders.push_back(uri.path);
  }
  return ConfineWrites(folders);
}

void WaitForTheEnd(const sigset_t& signals) {
  while (sigwaitinfo(&signals, nullptr) < 0) {
  }
}

int Serve(const Config& config) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // Before any thread starts: all of them leave these to the main thread.
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // What we and the database make is ours alone, whoever starts us; where a
  // store's files need other modes they are given them.
  umask(0077);
  if (const absl::Status confined = Confine(config); !confined.ok()) {
    Say(absl::StrCat("cannot start: ", confined.message()));
    return 1;
  }
  auto daemon = Daemon::Start(config, Say);
  if (!daemon.ok()) {
    Say(absl::StrCat("cannot start: ", daemon.status().message()));
    return 1;
  }
  Say(absl::StrCat(
      "version ", kVersion, " serves ",
      config.socket.empty() ? "" : absl::StrCat("unix:", config.socket, " "),
      (*daemon)->tcp_port() == 0
          ? ""
          : absl::StrCat("tcp port ", (*daemon)->tcp_port(), " "),
      (*daemon)->http_port() == 0
          ? ""
          : absl::StrCat("http port ", (*daemon)->http_port())));
  sd_notify(0, "READY=1");
  WaitForTheEnd(signals);
  sd_notify(0, "STOPPING=1");
  Say("stopping");
  (*daemon)->Stop();
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Garbage collection and storage accounting for container "
      "content.");
  app.set_version_flag("--version", std::string("reclaimd ") + kVersion);
  Flags flags;
  Declare(&app, &flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  if (flags.print_reference) {
    fputs(ConfigReference().c_str(), stdout);
    return 0;
  }
  if (flags.manual_section != 0) return PrintManual(app, flags.manual_section);
  const auto config = MakeConfig(flags);
  if (!config.ok()) {
    Say(config.status().message());
    return 2;
  }
  if (flags.check_config) {
    puts("the configuration is good");
    return 0;
  }
  return Serve(*config);
}

}  // namespace
}  // namespace reclaim::server

int main(int argc, char** argv) { return reclaim::server::Main(argc, argv); }

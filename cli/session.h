// cli/session.h — one run of the command line: its terminal and its daemon.
//
// Results go to `out`; prompts, progress and warnings to `err`.  With `json`,
// `out` gets lines of typed JSON and nothing else, and an error is a line of
// JSON on `err`.

#ifndef RECLAIM_CLI_SESSION_H_
#define RECLAIM_CLI_SESSION_H_

#include <functional>
#include <istream>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace reclaim::cli {

// The table of exit codes; `reclaim --help` prints it.  128+n: ended by signal
// n.
enum ExitCode {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kPartial = 3,
  kDeclined = 4,
  kNotFound = 10,
  kBusy = 11,
  kForbidden = 12,
  kDamaged = 13,
  kNothing = 14,  // nothing to do, with --fail-if-empty
  kShort = 15,    // the target is not reached
};

struct Terminal {
  std::istream* in = nullptr;
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  bool asks = false;            // somebody can answer on `in`
  bool shows_progress = false;  // `err` is a terminal that can redraw a line
  bool uses_color = false;      // `err` is one that can and may show colours
  std::function<absl::Time()> now;
  std::function<void(absl::Duration)> wait;
};

class Session {
 public:
  explicit Session(Terminal terminal) : terminal_(std::move(terminal)) {}

  // Where the daemon is; set by flags before the first call.
  std::string host = "unix:///run/reclaim/reclaim.sock";
  std::string tls_ca;
  std::string tls_certificate;
  std::string tls_key;
  // Name of the store that the command means; "" for the only one.
  std::string store;
  bool json = false;      // typed JSON
  bool quiet = false;     // no progress, no remarks
  bool no_color = false;  // whatever the terminal can

  // What parsing chose; run by RunCli().
  std::function<int()> chosen;

  std::ostream& out() { return *terminal_.out; }
  std::ostream& err() { return *terminal_.err; }
  // For what is good to know and no error: nowhere if quiet.
  std::ostream& note();
  bool shows_progress() const {
    return terminal_.shows_progress && !quiet && !json;
  }
  const Terminal& terminal() const { return terminal_; }
  absl::Time Now() const { return terminal_.now(); }

  std::shared_ptr<grpc::Channel> channel();

  // Makes one call; on an error says it and returns its exit code.  A daemon
  // that loads its graph, or has heard too many calls, is asked again for some
  // seconds.
  template <typename Stub, typename Request, typename Response>
  int Ask(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                       Response*),
          Stub* stub, const Request& request, Response* response) {
    grpc::Status status;
    int attempt = 0;
    do {
      grpc::ClientContext context;
      status = (stub->*method)(&context, request, response);
    } while (IsPutOff(status) && WaitAgain(attempt++));
    return Check(status);
  }

  int Check(const grpc::Status& status);
  // Says an error; OK is kDone.
  int Fail(const absl::Status& status);

  // Asks `question` and adds " [y/N] ".  kDone: yes.  Nobody to ask is kUsage,
  // "no" and the end of the input are kDeclined.
  int Confirm(const std::string& question, bool is_forced);

 private:
  // Whether the daemon has done nothing, for it loads its graph, or the caller
  // has asked too often.
  static bool IsPutOff(const grpc::Status& status);
  // Waits a moment; false if `attempt` was the last one, or a signal came.
  bool WaitAgain(int attempt);
  int SayError(int code, const std::string& message);
  std::string Colored(const char* color, const std::string& text) const;

  Terminal terminal_;
  std::ostream nowhere_{nullptr};
  std::shared_ptr<grpc::Channel> channel_;
};

absl::Time TimeOf(const google::protobuf::Timestamp& time);
// "2026-01-02 03:04:05 UTC"
std::string Moment(const google::protobuf::Timestamp& time);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_SESSION_H_

// cli/row_printer.h — the rows of a list, for people or for programs.
//
// Without --json they are collected and printed by Finish() as --format says;
// with it each is a line of typed JSON, printed as it comes.

#ifndef RECLAIM_CLI_ROW_PRINTER_H_
#define RECLAIM_CLI_ROW_PRINTER_H_

#include <string>
#include <utility>
#include <vector>

#include "cli/listing.h"
#include "cli/session.h"
#include "cli/typed_json.h"
#include "google/protobuf/message.h"

namespace reclaim::cli {

class RowPrinter {
 public:
  // `message_type` names the rows in JSON.
  RowPrinter(Session* session, std::string message_type, std::string format,
             std::vector<Column> columns)
      : session_(session),
        message_type_(std::move(message_type)),
        format_(std::move(format)),
        listing_(std::move(columns)) {}

  // `row` makes the cells; it is not called where they are not wanted.
  template <typename MakeRow>
  void Add(const google::protobuf::Message& message, MakeRow row) {
    if (session_->json) {
      session_->out() << JsonLine(message_type_, message) << '\n';
    } else {
      listing_.Add(row());
    }
  }
  size_t size() const { return listing_.size(); }

  // Prints what is still held; the exit code.
  int Finish() {
    if (session_->json) return kDone;
    return session_->Fail(listing_.Print(format_, &session_->out()));
  }

 private:
  Session* session_;
  const std::string message_type_;
  const std::string format_;
  Listing listing_;
};

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_ROW_PRINTER_H_

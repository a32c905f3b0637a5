// why, record.

#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/typed_json.h"
#include "cli/units.h"
#include "google/protobuf/util/json_util.h"
#include "reclaim/v1/graph.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::GraphService::Stub;

constexpr int kOperationsAtOnce = 1000;
constexpr int kTargetsAtOnce = 9000;  // of leases; a pin is one as well

struct GraphFlags {
  std::string subject;
  std::string place;
  int paths = 0;
  std::string file;
  std::string request_id;
};

std::string KindWord(const v1::Node& node) {
  std::string name = v1::NodeKind_Name(node.kind());
  absl::string_view word = name;
  absl::ConsumePrefix(&word, "NODE_KIND_");
  return absl::AsciiStrToLower(word);
}

std::string NameOf(const v1::Node& node) {
  if (node.name().empty()) return node.digest();
  return absl::StrCat(node.scope(), node.scope().empty() ? "" : ":",
                      node.name());
}

// A chain of thousands of indexes is as good as its ends; --json has it all.
void PrintPath(const v1::KeepPath& path, std::ostream* out) {
  constexpr int kEndLevels = 10;
  const int count = path.nodes_size();
  std::string indent;
  for (int i = 0; i < count; ++i) {
    indent += "  ";
    const int left = count - 2 * kEndLevels;
    if (left > 1 && i == kEndLevels) {
      *out << indent << "... " << left << " levels more (--json shows them)\n";
      i += left - 1;
      continue;
    }
    const v1::Node& node = path.nodes(i);
    *out << indent << KindWord(node) << ' ' << Safe(NameOf(node)) << '\n';
  }
}

int Why(Session* session, const GraphFlags& flags) {
  v1::ExplainRequest request;
  request.set_store(session->store);
  request.set_subject(flags.subject);
  request.set_place(flags.place);
  request.set_max_paths(flags.paths);
  v1::ExplainResponse why;
  const auto stub = v1::GraphService::NewStub(session->channel());
  const int code = session->Ask(&Stub::Explain, stub.get(), request, &why);
  if (code != kDone) return code;
  std::ostream& out = session->out();
  if (session->json) {
    out << JsonLine("explanation", why) << '\n';
    return kDone;
  }
  out << KindWord(why.node()) << ' ' << Safe(NameOf(why.node())) << "  "
      << HumanSize(why.node().bytes().logical_bytes()) << '\n'
      << Safe(why.summary()) << '\n';
  for (const v1::KeepPath& path : why.paths()) {
    std::string reason = v1::RootReason_Name(path.reason());
    absl::string_view word = reason;
    absl::ConsumePrefix(&word, "ROOT_REASON_");
    out << "because of a root (" << absl::AsciiStrToLower(word) << "):\n";
    PrintPath(path, &out);
  }
  for (const v1::Node& keeper : why.dead_keepers()) {
    out << "  named by " << KindWord(keeper) << ' ' << Safe(NameOf(keeper))
        << ", which nothing keeps either\n";
  }
  return kDone;
}

// What stands of a file with a wrong line.
std::string Standing(int sent_count) {
  if (sent_count == 0) return "; nothing of the file was recorded";
  return absl::StrCat("; the first ", sent_count,
                      " operations of the file are recorded, the others are "
                      "not: mend the line and record the file again");
}

// JSON lines of reclaim.v1.Operation.
int Record(Session* session, const GraphFlags& flags) {
  std::ifstream file;
  if (flags.file != "-") {
    file.open(flags.file);
    if (!file) {
      return session->Fail(
          absl::NotFoundError(absl::StrCat("cannot read ", flags.file)));
    }
  }
  std::istream& in = flags.file == "-" ? *session->terminal().in : file;
  const auto stub = v1::GraphService::NewStub(session->channel());
  grpc::ClientContext context;
  v1::RecordStreamResponse response;
  const auto writer = stub->RecordStream(&context, &response);
  v1::RecordRequest batch;
  int number = 0;
  int sent_count = 0;
  int batch_number = 0;
  int target_count = 0;
  const auto send = [&] {
    if (batch.operations().empty()) return true;
    if (!flags.request_id.empty()) {
      batch.set_request_id(absl::StrCat(flags.request_id, "-", batch_number++));
    }
    const bool is_sent = writer->Write(batch);
    sent_count += batch.operations_size();
    target_count = 0;
    batch.Clear();
    return is_sent;
  };
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    v1::Operation operation;
    const auto parsed =
        google::protobuf::util::JsonStringToMessage(line, &operation);
    if (!parsed.ok()) {
      writer->WritesDone();
      // The daemon's own error says what stands.
      const bool stands = session->Check(writer->Finish()) == kDone;
      return session->Fail(absl::InvalidArgumentError(absl::StrCat(
          flags.file, ":", number, ": ",
          absl::string_view(parsed.message().data(), parsed.message().size()),
          stands ? Standing(sent_count) : "")));
    }
    const int targets = operation.put_lease().targets_size();
    if (target_count + targets > kTargetsAtOnce && !send()) break;
    target_count += targets;
    batch.add_operations()->Swap(&operation);
    if (batch.operations_size() == kOperationsAtOnce && !send()) break;
  }
  send();
  writer->WritesDone();
  const int code = session->Check(writer->Finish());
  if (code != kDone) return code;
  for (const std::string& problem : response.problems()) {
    session->err() << "reclaim: " << Safe(problem) << '\n';
  }
  if (session->json) {
    session->out() << JsonLine("summary", response) << '\n';
    return kDone;
  }
  session->out() << "Recorded " << response.changed_count()
                 << " changes, sequence " << response.sequence() << '\n';
  return kDone;
}

}  // namespace

void AddGraphCommands(Parser* app, Session* session) {
  auto flags = std::make_shared<GraphFlags>();
  Parser* why =
      app->AddCommand("why", "Why something is still there, or why it will go");
  why->AddOption("subject", flags->subject,
                 "Digest (12 digits do), repo:tag, repo@digest, "
                 "container/NAME, volume/NAME, ...")
      ->Required();
  why->AddOption("--store", session->store, "Store");
  why->AddOption("--place", flags->place, "Layout within the store");
  why->AddOption("--paths", flags->paths, "Ways to show at most");
  why->OnChosen(
      [=] { session->chosen = [=] { return Why(session, *flags); }; });
  Parser* record =
      app->AddCommand("record",
                      "Record what an orchestrator knows: JSON lines of "
                      "reclaim.v1.Operation");
  record->AddOption("file", flags->file, "File, or - for standard input")
      ->Required();
  record->AddOption("--request-id", flags->request_id,
                    "Repeating it changes nothing twice");
  record->OnChosen(
      [=] { session->chosen = [=] { return Record(session, *flags); }; });
}

}  // namespace reclaim::cli

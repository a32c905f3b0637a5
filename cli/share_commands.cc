// top.

#include "cli/share_commands.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/listing.h"
#include "cli/row_printer.h"
#include "cli/units.h"
#include "reclaim/v1/usage.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::UsageService::Stub;

struct TopFlags {
  std::string kind;
  int count = 20;
  std::string format;
};

std::string NameOf(const v1::Retained& entry) {
  const v1::Node& node = entry.node();
  if (node.name().empty()) return node.digest();
  return node.kind() == v1::NODE_KIND_TAG
             ? absl::StrCat(node.scope(), ":", node.name())
             : node.name();
}

const char* KindOf(const v1::Retained& entry) {
  switch (entry.node().kind()) {
    case v1::NODE_KIND_REPOSITORY:
      return "repository";
    case v1::NODE_KIND_TAG:
      return "tag";
    case v1::NODE_KIND_IMAGE_INDEX:
      return "image index";
    case v1::NODE_KIND_MANIFEST:
      return "manifest";
    case v1::NODE_KIND_LAYER:
      return "layer";
    default:
      return "other";
  }
}

void SetKinds(const std::string& kind, v1::ListRetainedRequest* request) {
  if (kind == "repository") request->add_kinds(v1::NODE_KIND_REPOSITORY);
  if (kind == "tag") request->add_kinds(v1::NODE_KIND_TAG);
  if (kind == "layer") request->add_kinds(v1::NODE_KIND_LAYER);
  if (kind == "image") {
    request->add_kinds(v1::NODE_KIND_IMAGE_INDEX);
    request->add_kinds(v1::NODE_KIND_MANIFEST);
  }
}

int Top(Session* session, const TopFlags& flags) {
  const auto stub = v1::UsageService::NewStub(session->channel());
  v1::ListRetainedRequest request;
  request.set_store(session->store);
  request.set_page_size(flags.count);
  SetKinds(flags.kind, &request);
  v1::ListRetainedResponse answer;
  const int code =
      session->Ask(&Stub::ListRetained, stub.get(), request, &answer);
  if (code != kDone) return code;
  RowPrinter rows(session, "retained", flags.format,
                  {{"KIND", "Kind"},
                   {"NAME", "Name"},
                   {"STORE", "Store"},
                   {"RETAINED", "Retained"}});
  for (const v1::Retained& entry : answer.entries()) {
    rows.Add(entry, [&]() -> Row {
      return {{"Kind", KindOf(entry)},
              {"Name", NameOf(entry)},
              {"Store", entry.store()},
              {"Retained", HumanSize(entry.bytes().logical_bytes())}};
    });
  }
  return rows.Finish();
}

}  // namespace

void AddTop(CLI::App* app, Session* session) {
  CLI::App* top = app->add_subcommand(
      "top", "What would go with each repository or tag alone");
  auto flags = std::make_shared<TopFlags>();
  top->add_option("--kind", flags->kind,
                  "repository, tag, image or layer; else repositories and tags")
      ->check(CLI::IsMember({"repository", "tag", "image", "layer"}));
  top->add_option("-n,--count", flags->count, "How many")
      ->check(CLI::Range(1, 1000));
  top->add_option("--store", session->store, "Store; empty for all");
  top->add_option("--format", flags->format, "table, json or a template");
  top->callback(
      [=] { session->chosen = [=] { return Top(session, *flags); }; });
}

}  // namespace reclaim::cli

// top, df --history.

#include "cli/share_commands.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/listing.h"
#include "cli/row_printer.h"
#include "cli/units.h"
#include "reclaim/v1/usage.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::UsageService::Stub;

constexpr size_t kSparklineWidth = 72;
const char* const kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

struct TopFlags {
  std::string kind;
  int count = 20;
  std::string format;
};

uint64_t StoredBytes(const v1::UsagePoint& point) {
  return point.live().allocated_bytes() + point.candidate().allocated_bytes() +
         point.quarantined().allocated_bytes() +
         point.orphan().allocated_bytes();
}

// The points at even distances in time; where none was taken there is a gap.
std::vector<double> Evenly(const v1::GetUsageHistoryResponse& history) {
  if (history.points().empty()) return {};
  const int64_t step = std::max<int64_t>(1, history.step().seconds());
  const int64_t begin = history.points(0).begin_time().seconds();
  const int64_t end =
      history.points(history.points_size() - 1).begin_time().seconds();
  const size_t steps = static_cast<size_t>((end - begin) / step) + 1;
  const size_t width = std::min(steps, kSparklineWidth);
  std::vector<double> values(width, -1);
  for (const v1::UsagePoint& point : history.points()) {
    const size_t at =
        static_cast<size_t>((point.begin_time().seconds() - begin) / step);
    double& value = values[at * width / steps];
    // A column of several steps shows their peak.
    value = std::max(value, static_cast<double>(point.most_stored_bytes()));
  }
  return values;
}

void PrintOutlook(Session* session,
                  const v1::GetUsageHistoryResponse& history) {
  std::ostream& out = session->out();
  const v1::UsagePoint& last = history.points(history.points_size() - 1);
  uint64_t most = 0;
  uint64_t least = UINT64_MAX;
  for (const v1::UsagePoint& point : history.points()) {
    most = std::max(most, point.most_stored_bytes());
    least = std::min(least, point.least_stored_bytes());
  }
  out << Sparkline(Evenly(history)) << "\n"
      << history.store() << ": " << HumanSize(StoredBytes(last))
      << " on disk now, " << HumanSize(least) << " to " << HumanSize(most)
      << " since " << Moment(history.points(0).begin_time()) << '\n';
  if (history.has_growth_bytes_per_day()) {
    const double growth = history.growth_bytes_per_day();
    out << (growth < 0 ? "Shrinks by " : "Grows by ")
        << HumanSize(static_cast<uint64_t>(growth < 0 ? -growth : growth))
        << " a day\n";
  }
  if (history.has_time_until_full()) {
    out << "The disk is full in "
        << HumanDuration(absl::Seconds(history.time_until_full().seconds()))
        << '\n';
  }
}

int PrintPoints(Session* session, const v1::GetUsageHistoryResponse& history,
                const std::string& format) {
  RowPrinter rows(session, "usage_point", format,
                  {{"TIME", "Time"},
                   {"STORED", "StoredBytes"},
                   {"LEAST", "LeastStoredBytes"},
                   {"MOST", "MostStoredBytes"},
                   {"LIVE", "LiveBytes"},
                   {"CANDIDATE", "CandidateBytes"},
                   {"QUARANTINED", "QuarantinedBytes"},
                   {"ORPHAN", "OrphanBytes"},
                   {"IMAGES", "Images"},
                   {"TAGS", "Tags"},
                   {"CAPACITY", "CapacityBytes"},
                   {"AVAILABLE", "AvailableBytes"}});
  for (const v1::UsagePoint& point : history.points()) {
    rows.Add(point, [&]() -> Row {
      return {
          {"Time", Moment(point.begin_time())},
          {"StoredBytes", absl::StrCat(StoredBytes(point))},
          {"LeastStoredBytes", absl::StrCat(point.least_stored_bytes())},
          {"MostStoredBytes", absl::StrCat(point.most_stored_bytes())},
          {"LiveBytes", absl::StrCat(point.live().allocated_bytes())},
          {"CandidateBytes", absl::StrCat(point.candidate().allocated_bytes())},
          {"QuarantinedBytes",
           absl::StrCat(point.quarantined().allocated_bytes())},
          {"OrphanBytes", absl::StrCat(point.orphan().allocated_bytes())},
          {"Images", absl::StrCat(point.image_count())},
          {"Tags", absl::StrCat(point.tag_count())},
          {"CapacityBytes", point.has_capacity_bytes()
                                ? absl::StrCat(point.capacity_bytes())
                                : ""},
          {"AvailableBytes", point.has_available_bytes()
                                 ? absl::StrCat(point.available_bytes())
                                 : ""}};
    });
  }
  return rows.Finish();
}

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
  SetKinds(flags.kind, &request);
  std::vector<v1::Retained> entries;
  // A page may be shorter than was asked for.
  int left = flags.count;
  do {
    request.set_page_size(left);
    v1::ListRetainedResponse page;
    const int code =
        session->Ask(&Stub::ListRetained, stub.get(), request, &page);
    if (code != kDone) return code;
    left -= page.entries_size();
    entries.insert(entries.end(), page.entries().begin(), page.entries().end());
    request.set_page_token(page.next_page_token());
  } while (left > 0 && !request.page_token().empty());
  RowPrinter rows(session, "retained", flags.format,
                  {{"KIND", "Kind"},
                   {"NAME", "Name"},
                   {"STORE", "Store"},
                   {"RETAINED", "Retained"}});
  for (const v1::Retained& entry : entries) {
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

std::string Sparkline(const std::vector<double>& values) {
  double least = -1;
  double most = 0;
  for (const double value : values) {
    if (value < 0) continue;
    least = least < 0 ? value : std::min(least, value);
    most = std::max(most, value);
  }
  std::string line;
  for (const double value : values) {
    if (value < 0) {
      line += ' ';
      continue;
    }
    const double height = most > least ? (value - least) / (most - least) : 0;
    line += kBars[std::min<size_t>(7, static_cast<size_t>(height * 8))];
  }
  return line;
}

int PrintHistory(Session* session, const std::string& back,
                 const std::string& format) {
  const auto span = ParseSpan(back);
  if (!span.ok()) return session->Fail(span.status());
  const auto stub = v1::UsageService::NewStub(session->channel());
  v1::GetUsageHistoryRequest request;
  request.set_store(session->store);
  *request.mutable_back() = ToProto(*span);
  v1::GetUsageHistoryResponse history;
  const int code =
      session->Ask(&Stub::GetUsageHistory, stub.get(), request, &history);
  if (code != kDone) return code;
  if (session->json || !format.empty()) {
    return PrintPoints(session, history, format);
  }
  if (history.points().empty()) {
    session->out() << history.store() << ": nothing has been noted yet\n";
    return kDone;
  }
  PrintOutlook(session, history);
  return kDone;
}

void AddTop(Parser* app, Session* session) {
  Parser* top =
      app->AddCommand("top", "What would go with each repository or tag alone");
  auto flags = std::make_shared<TopFlags>();
  top->AddOption("--kind", flags->kind,
                 "repository, tag, image or layer; else repositories and tags")
      ->OneOf({"repository", "tag", "image", "layer"});
  top->AddOption("-n,--count", flags->count, "How many")->Between(1, 1000);
  top->AddOption("--store", session->store, "Store; empty for all");
  top->AddOption("--format", flags->format, "table, json or a template");
  top->OnChosen(
      [=] { session->chosen = [=] { return Top(session, *flags); }; });
}

}  // namespace reclaim::cli

// B7: what a question takes beside an empty call, by one client over one
// connection, in turns: what disturbs the one disturbs the other.

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "reclaim/v1/usage.pb.h"
#include "tests/benchmark/daemon_client.h"
#include "tests/benchmark/ingest_measures.h"

namespace reclaim::benchmark {
namespace {

// Of grpc.health.v1, about the server as a whole: an empty message.
constexpr char kEmptyCall[] = "/grpc.health.v1.Health/Check";
constexpr char kDiskUsage[] = "/reclaim.v1.UsageService/GetDiskUsage";
constexpr char kListUsage[] = "/reclaim.v1.UsageService/ListUsage";
constexpr int kRoundsAtLeast = 20;

// A question, and whether its answer is one.
class Question {
 public:
  explicit Question(const std::string& what) : is_list_(what != "df") {
    if (!is_list_) return;
    v1::ListUsageRequest request;
    request.set_by(what == "tenant" ? v1::USAGE_GROUPING_TENANT
                                    : v1::USAGE_GROUPING_REPOSITORY);
    request.set_page_size(1);
    request_ = request.SerializeAsString();
  }

  // The answer is read as well, as whoever asks does.
  bool Ask(RawClient* client) {
    std::string bytes;
    if (!client->Call(is_list_ ? kListUsage : kDiskUsage, request_, &bytes)) {
      return false;
    }
    if (is_list_) {
      v1::ListUsageResponse response;
      return response.ParseFromString(bytes) && response.groups_size() == 1;
    }
    v1::GetDiskUsageResponse response;
    if (!response.ParseFromString(bytes)) return false;
    sequence_ = response.sequence();
    return response.has_total();
  }

  // Of the last answer to df: so many event rows have been written.
  uint64_t sequence() const { return sequence_; }

 private:
  const bool is_list_;
  std::string request_;
  uint64_t sequence_ = 0;
};

// One empty call and one question; appends what each took.
bool AskInTurn(RawClient* client, Question* question,
               std::vector<double>* floor, std::vector<double>* asked) {
  std::string nothing;
  const SteadyClock::time_point begin = SteadyClock::now();
  if (!client->Call(kEmptyCall, "", &nothing)) return false;
  floor->push_back(SecondsSince(begin));
  const SteadyClock::time_point between = SteadyClock::now();
  if (!question->Ask(client)) return false;
  asked->push_back(SecondsSince(between));
  return true;
}

}  // namespace

int MeasureCalls(const Arguments& arguments) {
  const int rounds = arguments.Number("rounds");
  const int seconds_max = arguments.Number("seconds");
  RawClient client(arguments.Text("socket"));
  Question question(arguments.Text("what"));
  std::vector<double> floor;
  std::vector<double> asked;
  for (int i = 0; i < kRoundsAtLeast; ++i) {
    if (!AskInTurn(&client, &question, &floor, &asked)) return 1;
  }
  // Until here the connection and the caches have become warm.
  floor.clear();
  asked.clear();
  const uint64_t sequence = question.sequence();
  const SteadyClock::time_point begin = SteadyClock::now();
  for (int i = 0; i < rounds; ++i) {
    if (i >= kRoundsAtLeast && SecondsSince(begin) > seconds_max) break;
    if (!AskInTurn(&client, &question, &floor, &asked)) return 1;
  }
  const double seconds = SecondsSince(begin);
  std::printf(
      "{\"floor\": {%s}, \"asked\": {%s}, \"seconds\": %.9g, "
      "\"changes\": %" PRIu64 "}\n",
      ToJson(SpreadOf(std::move(floor))).c_str(),
      ToJson(SpreadOf(std::move(asked))).c_str(), seconds,
      question.sequence() - sequence);
  return 0;
}

}  // namespace reclaim::benchmark

#include "cli/plan_file.h"

#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/plan_printer.h"
#include "cli/typed_json.h"
#include "reclaim/v1/collection.grpc.pb.h"

namespace reclaim::cli {
namespace {

using nlohmann::json;

constexpr size_t kFileBytesMax = size_t{1} << 30;

// What the file must tell of the plan.
json SummaryOf(const v1::Plan& plan) {
  json summary = json::parse(JsonLine("plan", plan));
  return {{"id", summary["id"]},
          {"store", summary["store"]},
          {"item_count", summary["item_count"]},
          {"bytes", summary["bytes"]}};
}

absl::Status Write(const std::string& path, const std::string& text) {
  const std::string aside = path + ".new";
  std::ofstream file(aside, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file || chmod(aside.c_str(), 0600) != 0 ||
      rename(aside.c_str(), path.c_str()) != 0) {
    remove(aside.c_str());
    return absl::UnavailableError(absl::StrCat(
        "cannot write ", path, "; is its folder there, with room in it?"));
  }
  return absl::OkStatus();
}

absl::StatusOr<json> Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (text.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is too large"));
  }
  json plan = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!plan.is_object() || plan.value("message_type", json()) != "plan" ||
      !plan.value("id", json()).is_string()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, " is not a plan that `prune --dry-run --out` wrote"));
  }
  if (plan.value("schema_version", json()) != kJsonSchemaVersion) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, " was written by another version; make the plan again"));
  }
  return plan;
}

}  // namespace

int WritePlanFile(Session* session, const v1::Plan& plan,
                  const std::string& path) {
  json file = json::parse(JsonLine("plan", plan));
  json items = json::array();
  const int code =
      ForEachItem(session, plan.id(), [&](const v1::PlanItem& item) {
        items.push_back(json::parse(JsonLine("plan_item", item)));
        return true;
      });
  if (code != kDone) return code;
  file["items"] = std::move(items);
  return session->Fail(Write(path, file.dump(1) + "\n"));
}

int ReadPlanFile(Session* session, const std::string& path, v1::Plan* plan) {
  const auto file = Read(path);
  if (!file.ok()) return session->Fail(file.status());
  const auto stub = v1::CollectionService::NewStub(session->channel());
  v1::GetPlanRequest request;
  request.set_id((*file)["id"].get<std::string>());
  const int code = session->Ask(&v1::CollectionService::Stub::GetPlan,
                                stub.get(), request, plan);
  if (code != kDone) return code;
  const json summary = SummaryOf(*plan);
  for (const auto& [name, value] : summary.items()) {
    if (file->value(name, json()) == value) continue;
    return session->Fail(absl::InvalidArgumentError(
        absl::StrCat(path, " is not what the daemon planned: ", name,
                     " differs; make the plan again")));
  }
  return kDone;
}

}  // namespace reclaim::cli

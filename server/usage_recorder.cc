#include "server/usage_recorder.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "accounting/history.h"
#include "accounting/history_store.h"

namespace reclaim::server {
namespace {

std::optional<store::Capacity> CapacityOf(const rpc::ServiceParts& parts,
                                          const std::string& store) {
  const auto content = parts.stores->Content(store);
  if (!content.ok()) return std::nullopt;
  const auto capacity = (*content)->GetCapacity();
  if (!capacity.ok()) return std::nullopt;
  return *capacity;
}

}  // namespace

absl::Status UsageRecorder::NoteAll() {
  absl::Status status;
  for (const index::StoreRecord& store : parts_.graph->Stores()) {
    const std::optional<store::Capacity> capacity =
        CapacityOf(parts_, store.name);
    accounting::UsageSample sample;
    {
      const auto reader = parts_.graph->Read();
      sample = accounting::MakeSample(reader->totals(store.id), capacity,
                                      parts_.clock->Now());
    }
    const absl::Status noted = parts_.history->Add(store.name, sample);
    if (noted.ok()) continue;
    status.Update(absl::Status(
        noted.code(),
        absl::StrCat("store ", store.name, ": ", noted.message())));
  }
  return status;
}

void UsageRecorder::Begin(absl::Duration interval,
                          std::function<void(absl::string_view)> say) {
  if (interval == absl::ZeroDuration()) return;
  ticker_ = std::make_unique<Ticker>(
      interval, [this, say = std::move(say), said = std::string()]() mutable {
        const absl::Status noted = NoteAll();
        std::string complaint(noted.message());
        if (!noted.ok() && complaint != said) {
          say(absl::StrCat("usage is not noted: ", complaint));
        }
        said = std::move(complaint);
      });
}

}  // namespace reclaim::server

#include "store/content_store.h"

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"

namespace reclaim::store {
namespace {

class SummingMeter final : public RemovalMeter {
 public:
  explicit SummingMeter(const ContentStore* store) : store_(store) {}

  absl::Status Add(absl::Span<const Removal> removals,
                   std::vector<SharedFile>* shared) override {
    const absl::StatusOr<Measurement> measured = store_->Measure(removals);
    if (!measured.ok()) return measured.status();
    sum_ += *measured;
    shared->insert(shared->end(), measured->shared.begin(),
                   measured->shared.end());
    return absl::OkStatus();
  }
  absl::StatusOr<RemovalBytes> Finish() override { return sum_; }

 private:
  const ContentStore* store_;
  RemovalBytes sum_;
};

}  // namespace

absl::Status ContentStore::VerifyQuarantined(const RunId&,
                                             const Removal& blob) const {
  return absl::UnimplementedError(absl::StrCat(
      ToString(blob), " can't be read as long as it is in quarantine"));
}

std::unique_ptr<RemovalMeter> ContentStore::NewMeter() const {
  return std::make_unique<SummingMeter>(this);
}

}  // namespace reclaim::store

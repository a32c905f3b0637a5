// gc/filter.h.  The first byte chooses what is filtered; then one term a line.

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/check.h"
#include "gc/filter.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::gc {
namespace {

constexpr size_t kTermCountMax = 64;

RECLAIM_FUZZ_TARGET(filter) {
  if (input.empty()) return;
  const auto target =
      static_cast<FilterTarget>(1 + static_cast<unsigned char>(input[0]) % 6);
  const std::vector<std::string> terms =
      absl::StrSplit(input.substr(1), '\n', absl::SkipEmpty());
  if (terms.size() > kTermCountMax) return;
  const absl::Time now = absl::FromUnixSeconds(1700000000);
  const auto filter = ParseFilter(terms, {}, target, now, absl::UTCTimeZone());
  if (!filter.ok()) return;
  RECLAIM_CHECK(filter->empty() == terms.empty(), "no term is dropped");

  const index::Labels labels = {{"keep", "yes"}, {"env", "prod"}};
  FilterSubject subject;
  subject.labels = {&labels};
  subject.references = {"docker.io/library/app:v1"};
  if (!filter->times.empty()) {
    RECLAIM_CHECK(!Matches(*filter, subject), "a missing time keeps");
  }
  for (const TimeTest& test : filter->times) {
    subject.times[test.clock] = absl::InfiniteFuture();
  }
  if (!filter->times.empty()) {
    RECLAIM_CHECK(!Matches(*filter, subject), "a time in the future keeps");
  }
  for (const LabelTest& test : filter->labels) {
    RECLAIM_CHECK(!test.key.empty(), "a label has a key");
    const index::Labels carried = {{test.key, test.value.value_or("")}};
    subject.labels = {&carried};
    if (test.is_negative) {
      RECLAIM_CHECK(!Matches(*filter, subject), "an excluded label keeps");
    }
  }
}

}  // namespace
}  // namespace reclaim::gc

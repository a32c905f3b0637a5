#include "rpc/notification_intake.h"

#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "oci/digest.h"
#include "oci/notification.h"

namespace reclaim::rpc {
namespace {

constexpr char kActor[] = "registry";
constexpr size_t kSecretBytesMin = 16;
constexpr size_t kSecretBytesMax = 4096;
constexpr double kBurstSeconds = 10;
constexpr size_t kSecondLookMax = 10000;
constexpr size_t kLooksAtOnce = 256;
// Names that can't be read, and for how long a registry is asked to send what
// it says of them again.
constexpr size_t kUnreadableMax = 1000;
constexpr absl::Duration kUnreadablePatience = absl::Seconds(10);
constexpr absl::Duration kUnreadableMemory = absl::Minutes(10);
constexpr absl::Duration kLookDelays[] = {absl::Milliseconds(250),
                                          absl::Seconds(2), absl::Seconds(8)};

// Takes the same time wherever the two differ: digests of equal length are
// compared, all of their bytes.
bool IsSame(absl::string_view a, absl::string_view b) {
  const oci::Digest x = oci::Digest::Sha256Of(a);
  const oci::Digest y = oci::Digest::Sha256Of(b);
  unsigned char difference = 0;
  for (size_t i = 0; i < x.bytes().size(); ++i) {
    difference |= static_cast<unsigned char>(x.bytes()[i] ^ y.bytes()[i]);
  }
  return difference == 0;
}

// Events a second on the average (a token bucket).
class Rate {
 public:
  Rate(double per_second, absl::Duration now)
      : per_second_(per_second), left_(per_second * kBurstSeconds), at_(now) {}

  // One batch may overdraw: it is taken whole while anything is left.
  bool Take(size_t count, absl::Duration now) {
    left_ = std::min(per_second_ * kBurstSeconds,
                     left_ + absl::ToDoubleSeconds(now - at_) * per_second_);
    at_ = now;
    if (left_ <= 0) return false;
    left_ -= static_cast<double>(count);
    return true;
  }

 private:
  const double per_second_;
  double left_;
  absl::Duration at_;
};

index::Hint HintOf(const oci::Notification& event, absl::Time now) {
  index::Hint hint;
  hint.repository = event.repository;
  hint.tag = event.tag;
  hint.digest = event.digest;
  hint.media_type = event.media_type;
  if (event.action == oci::NotifiedAction::kPull) {
    hint.pulled = event.time.value_or(now);
  }
  return hint;
}

// What is too large stays so: "later" would be no answer.
absl::StatusOr<oci::NotificationEnvelope> ReadEnvelope(absl::string_view body) {
  absl::StatusOr<oci::NotificationEnvelope> envelope =
      oci::ParseNotifications(body);
  if (!absl::IsResourceExhausted(envelope.status())) return envelope;
  return absl::OutOfRangeError(envelope.status().message());
}

// Whether it is what a store says of a single name, or may be.
bool IsAboutAName(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDataLoss(status) ||
         absl::IsInvalidArgument(status) || absl::IsPermissionDenied(status) ||
         absl::IsFailedPrecondition(status) || absl::IsAlreadyExists(status);
}

class RegistryIntake final : public NotificationIntake {
 public:
  RegistryIntake(const NotificationOptions& options, const ServiceParts& parts)
      : options_(options),
        parts_(parts),
        rate_(options.events_per_second, parts.clock->Monotonic()) {}

  absl::Status Admit(const std::string& store,
                     absl::string_view authorization) const override;
  absl::Status Take(const std::string& store, absl::string_view authorization,
                    absl::string_view body) override;
  void LookAgain() override;

 private:
  struct SecondLook {
    std::string store;
    index::Hint hint;
    size_t attempt = 0;
    absl::Duration due;
  };
  // A place among those that wait.
  class Seat {
   public:
    explicit Seat(RegistryIntake* intake) : intake_(*intake) {
      base::MutexLock lock(&intake_.mutex_);
      is_taken_ = intake_.waiting_count_ < intake_.options_.waiting_max;
      if (is_taken_) ++intake_.waiting_count_;
    }
    ~Seat() {
      if (!is_taken_) return;
      base::MutexLock lock(&intake_.mutex_);
      --intake_.waiting_count_;
    }
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    bool is_taken() const { return is_taken_; }

   private:
    RegistryIntake& intake_;
    bool is_taken_ = false;
  };

  bool IsAuthorized(absl::string_view authorization) const;
  bool IsOwnQuestion(const oci::Notification& event) const;
  absl::Status CheckStore(const std::string& store) const;
  // One at a time: what is read takes many times the memory of its text.
  absl::StatusOr<oci::NotificationEnvelope> ReadOne(absl::string_view body) {
    base::MutexLock one(&reading_);
    return ReadEnvelope(body);
  }
  absl::Status CheckRate(size_t count);
  absl::Status Follow(const std::string& store,
                      absl::Span<const index::Hint> hints, size_t attempt);
  void QueueLooks(const std::string& store, absl::Span<const index::Hint> said,
                  std::vector<index::Hint> looks, size_t attempt);
  bool IsLeftToScans(const std::string& store, const index::Hint& hint);

  const NotificationOptions options_;
  const ServiceParts parts_;
  base::Mutex reading_;
  base::Mutex mutex_;  // guards what follows
  Rate rate_;
  int waiting_count_ = 0;
  std::deque<SecondLook> looks_;
  using Name = std::tuple<std::string, std::string, std::string, std::string>;
  static Name NameOf(const std::string& store, const index::Hint& hint) {
    return {store, hint.repository, hint.tag,
            hint.digest ? hint.digest->ToString() : ""};
  }
  // Those of looks_ that are for a pull.
  std::set<Name> pulled_;
  std::map<Name, absl::Duration> unreadable_;  // since when
};

bool RegistryIntake::IsAuthorized(absl::string_view authorization) const {
  return absl::ConsumePrefix(&authorization, "Bearer ") &&
         authorization.size() <= kSecretBytesMax &&
         IsSame(authorization, options_.secret);
}

// Taken for a use, it would keep what a sweep is about to move, and give back
// what it has moved.
bool RegistryIntake::IsOwnQuestion(const oci::Notification& event) const {
  return event.action == oci::NotifiedAction::kPull &&
         !options_.own_user_agent.empty() &&
         event.user_agent == options_.own_user_agent;
}

absl::Status RegistryIntake::CheckStore(const std::string& store) const {
  if (store.empty()) {
    return absl::NotFoundError("post to /v1/notifications/STORE");
  }
  RECLAIM_RETURN_IF_ERROR(parts_.stores->Find(store).status());
  RECLAIM_ASSIGN_OR_RETURN(const store::ContentStore* content,
                           parts_.stores->Content(store));
  if (content->names() != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the store ", store, " is no registry; it is followed by scans"));
}

absl::Status RegistryIntake::CheckRate(size_t count) {
  base::MutexLock lock(&mutex_);
  if (rate_.Take(count, parts_.clock->Monotonic())) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("more than ", options_.events_per_second,
                   " events a second; send them again later "
                   "(notifications.events_per_second)"));
}

absl::Status RegistryIntake::Admit(const std::string& store,
                                   absl::string_view authorization) const {
  if (IsAuthorized(authorization)) return CheckStore(store);
  return absl::UnauthenticatedError(
      "show \"Authorization: Bearer SECRET\" with the secret of "
      "notifications.secret_file");
}

absl::Status RegistryIntake::Take(const std::string& store,
                                  absl::string_view authorization,
                                  absl::string_view body) {
  RECLAIM_RETURN_IF_ERROR(Admit(store, authorization));
  if (body.size() > kNotificationBytesMax) {
    return absl::OutOfRangeError("an envelope of more than 4 MiB");
  }
  RECLAIM_ASSIGN_OR_RETURN(const oci::NotificationEnvelope envelope,
                           ReadOne(body));
  const size_t count = envelope.notifications.size() + envelope.passed_by_count;
  RECLAIM_RETURN_IF_ERROR(CheckRate(count));
  const Seat seat(this);
  if (!seat.is_taken()) {
    return absl::UnavailableError(
        absl::StrCat(options_.waiting_max, " envelopes wait already"));
  }
  std::vector<index::Hint> hints;
  for (const oci::Notification& event : envelope.notifications) {
    if (IsOwnQuestion(event)) continue;
    hints.push_back(HintOf(event, parts_.clock->Now()));
  }
  RECLAIM_RETURN_IF_ERROR(Follow(store, hints, 0));
  if (parts_.observer == nullptr) return absl::OkStatus();
  for (const oci::Notification& event : envelope.notifications) {
    parts_.observer->OnNotification(oci::ToString(event.action));
  }
  for (uint64_t i = 0; i < envelope.passed_by_count; ++i) {
    parts_.observer->OnNotification("unknown");
  }
  return absl::OkStatus();
}

// Halves again and again: one name that can't be read holds up no other.
absl::Status RegistryIntake::Follow(const std::string& store,
                                    absl::Span<const index::Hint> hints,
                                    size_t attempt) {
  if (hints.empty()) return absl::OkStatus();
  absl::StatusOr<std::vector<index::Hint>> unsettled =
      parts_.collector->FollowHints(store, hints, kActor);
  if (unsettled.ok()) {
    QueueLooks(store, hints, *std::move(unsettled), attempt);
    return absl::OkStatus();
  }
  if (!IsAboutAName(unsettled.status())) return unsettled.status();
  if (hints.size() == 1) {
    // Nothing that a registry says again moves what lies in the way of content
    // in quarantine: scans tell of it.
    if (absl::IsAlreadyExists(unsettled.status())) return absl::OkStatus();
    return IsLeftToScans(store, hints[0]) ? absl::OkStatus()
                                          : unsettled.status();
  }
  const size_t half = hints.size() / 2;
  absl::Status status = Follow(store, hints.subspan(0, half), attempt);
  status.Update(Follow(store, hints.subspan(half), attempt));
  return status;
}

// What was pulled is looked for once, and never at the cost of a push: after an
// outage a registry tells of thousands of pulls of what has been deleted since.
void RegistryIntake::QueueLooks(const std::string& store,
                                absl::Span<const index::Hint> said,
                                std::vector<index::Hint> looks,
                                size_t attempt) {
  if (attempt >= std::size(kLookDelays)) return;
  std::set<Name> pushed;
  for (const index::Hint& hint : said) {
    if (!hint.pulled) pushed.insert(NameOf(store, hint));
  }
  base::MutexLock lock(&mutex_);
  const absl::Duration due = parts_.clock->Monotonic() + kLookDelays[attempt];
  for (index::Hint& hint : looks) {
    // Beyond the bounds the next scan finds them.
    if (looks_.size() >= kSecondLookMax) break;
    Name name = NameOf(store, hint);
    if (pushed.count(name) > 0) {
      looks_.push_back({store, std::move(hint), attempt + 1, due});
    } else if (looks_.size() < kSecondLookMax / 2 &&
               pulled_.insert(std::move(name)).second) {
      looks_.push_back({store, std::move(hint), std::size(kLookDelays), due});
    }
  }
}

// A pull is never left: no scan finds the time of a use.
bool RegistryIntake::IsLeftToScans(const std::string& store,
                                   const index::Hint& hint) {
  if (hint.pulled) return false;
  base::MutexLock lock(&mutex_);
  const absl::Duration now = parts_.clock->Monotonic();
  const auto is_old = [now](absl::Duration since) {
    return now - since > kUnreadableMemory;
  };
  if (unreadable_.size() >= kUnreadableMax) {
    for (auto it = unreadable_.begin(); it != unreadable_.end();) {
      it = is_old(it->second) ? unreadable_.erase(it) : std::next(it);
    }
  }
  // So many at once are no writers at work.
  if (unreadable_.size() >= kUnreadableMax) return true;
  const Name name = NameOf(store, hint);
  absl::Duration& since = unreadable_.try_emplace(name, now).first->second;
  if (is_old(since)) since = now;
  if (now - since < kUnreadablePatience) return false;
  unreadable_.erase(name);
  return true;
}

void RegistryIntake::LookAgain() {
  std::map<std::pair<std::string, size_t>, std::vector<index::Hint>> due;
  {
    base::MutexLock lock(&mutex_);
    const absl::Duration now = parts_.clock->Monotonic();
    const auto later = std::stable_partition(
        looks_.begin(), looks_.end(),
        [&](const SecondLook& look) { return look.due <= now; });
    for (auto it = looks_.begin(); it != later; ++it) {
      pulled_.erase(NameOf(it->store, it->hint));
      due[{it->store, it->attempt}].push_back(std::move(it->hint));
    }
    looks_.erase(looks_.begin(), later);
  }
  for (const auto& [which, hints] : due) {
    for (size_t i = 0; i < hints.size(); i += kLooksAtOnce) {
      // A store that can't be read now is read by the next scan, before which
      // no plan is made: what is not looked at is only kept for longer.
      Follow(which.first, absl::MakeConstSpan(hints).subspan(i, kLooksAtOnce),
             which.second)
          .IgnoreError();
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<NotificationIntake>> NotificationIntake::Create(
    const NotificationOptions& options, const ServiceParts& parts) {
  if (options.secret.size() < kSecretBytesMin) {
    return absl::InvalidArgumentError(
        absl::StrCat("the secret has ", options.secret.size(),
                     " bytes; it needs ", kSecretBytesMin, " at least"));
  }
  if (options.waiting_max < 1 || options.waiting_max > 10000 ||
      options.events_per_second < 1 || options.events_per_second > 1000000) {
    return absl::InvalidArgumentError(
        "waiting_max is 1 to 10000, events_per_second 1 to 1000000");
  }
  return std::unique_ptr<NotificationIntake>(
      std::make_unique<RegistryIntake>(options, parts));
}

absl::StatusOr<std::string> ReadSecret(const std::string& path) {
  struct stat stat = {};
  std::ifstream file(path, std::ios::binary);
  if (::stat(path.c_str(), &stat) != 0 || !file.good()) {
    return absl::NotFoundError(
        absl::StrCat("cannot read the file of the secret, ", path));
  }
  if ((stat.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(
        "others may read the secret in ", path, "; `chmod 600 ", path, "`"));
  }
  std::string text(kSecretBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  const std::string secret(absl::StripAsciiWhitespace(text));
  if (secret.size() >= kSecretBytesMin) return secret;
  return absl::InvalidArgumentError(
      absl::StrCat("the secret in ", path, " has ", secret.size(),
                   " bytes; it needs ", kSecretBytesMin,
                   " at least, such as "
                   "`openssl rand -hex 32`"));
}

}  // namespace reclaim::rpc
